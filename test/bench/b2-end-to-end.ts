import {
  atLeast,
  atMost,
  type Benchmark,
  type BenchmarkOptions,
  type Report,
  row,
  say,
  type Size,
} from './benchmark.js';
import { ReceiverProcess } from './load/receiver-process.js';
import { BenchPostgres, countsPer } from './measure/bench-postgres.js';
import { usageOf } from './measure/process-usage.js';
import { NodeRed } from './peers/node-red.js';
import { discard } from './scenario/bench-server.js';
import { measureHanging } from './scenario/hanging-receivers.js';
import { checkCalls, checkDeliveries, Faults } from './scenario/check-flow.js';
import { costRows, type Latency, latencyRows, type Rate, rateRows, type Round } from './scenario/end-to-end-figures.js';
import { driveFlow, type FlowRun, type FlowTarget } from './scenario/drive-flow.js';
import { measureWaiting } from './scenario/waiting-deliveries.js';
import { WebhookFlow } from './scenario/webhook-flow.js';

/**
 * B2: a signed GitHub push comes in, a rule matches, a signed delivery arrives at a receiver in another process. Measures the
 * rate with one receiver and with many (baseline: the same flow in Node-RED, in turns in the same run), the latency at fixed
 * rates, the cost of an event, how much hanging receivers slow down the others, and the memory that pending deliveries take.
 */
interface Plan {
  readonly events: number;
  readonly rounds: number;
  readonly manyReceivers: number;
  /** Requests per second, and for how many seconds. */
  readonly paces: readonly (readonly [rate: number, seconds: number])[];
  readonly hangingEvents: number;
  readonly waiting: number;
  /** Wait until PostgreSQL's statistics are complete. */
  readonly settle: boolean;
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: {
    events: 10_000,
    rounds: 3,
    manyReceivers: 100,
    paces: [
      [20, 30],
      [100, 20],
      [200, 20],
    ],
    hangingEvents: 3_000,
    waiting: 100_000,
    settle: true,
  },
  quick: {
    events: 2_000,
    rounds: 1,
    manyReceivers: 100,
    paces: [
      [20, 8],
      [100, 5],
      [200, 5],
    ],
    hangingEvents: 900,
    waiting: 5_000,
    settle: true,
  },
  smoke: { events: 40, rounds: 1, manyReceivers: 4, paces: [[50, 0.5]], hangingEvents: 30, waiting: 30, settle: false },
};
export const CONNECTIONS = 32;

const perEvent = (run: FlowRun, seconds: number): number => (seconds / run.acknowledged.length) * 1000;
async function run({ size, peers }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const faults = new Faults();
  let delivered = 0;
  const postgres = await BenchPostgres.start();
  const checked = async (flow: WebhookFlow, one: FlowRun): Promise<void> => {
    checkCalls(one.acknowledged, one.calls, faults);
    checkDeliveries(one, await flow.deliveries(one.startedAt), flow.webhooks, faults);
    delivered += one.acknowledged.length;
  };

  /** Rates in turns with Node-RED; then what `then` measures on the same server. */
  async function withFlow<T>(
    receivers: number,
    then: (flow: WebhookFlow, receiver: ReceiverProcess, nodeRed: NodeRed | undefined) => Promise<T>,
  ): Promise<{ readonly rate: Rate; readonly more: T }> {
    const receiver = await ReceiverProcess.start(receivers);
    const databaseUrl = await postgres.createDatabase();
    const flow = await WebhookFlow.start({ databaseUrl, receiver });
    const nodeRed = peers ? await NodeRed.start(receiver) : undefined;
    try {
      const pace = { connections: CONNECTIONS, count: plan.events };
      const warm = { ...pace, count: Math.ceil(plan.events / 5) };
      for (const target of nodeRed ? [nodeRed, flow] : [flow]) await driveFlow(target, receiver, target.pushes, warm);
      if (plan.settle) await postgres.settle();
      const before = await postgres.counts(databaseUrl);
      const rounds: Round[] = [];
      const shares = { load: 0, receiver: 0 };
      let events = 0;
      for (let n = 1; n <= plan.rounds; n++) {
        const other = nodeRed && (await driveFlow(nodeRed, receiver, nodeRed.pushes, pace));
        if (other) checkCalls(other.acknowledged, other.calls, faults);
        const postgresBefore = await postgres.processorSeconds();
        const own = await driveFlow(flow, receiver, flow.pushes, pace);
        const postgresSeconds = (await postgres.processorSeconds()) - postgresBefore;
        await checked(flow, own);
        events += own.acknowledged.length;
        shares.load = Math.max(shares.load, own.load.processorShare);
        shares.receiver = Math.max(shares.receiver, own.receiverShare);
        rounds.push({
          perSecond: own.perSecond,
          sustainedPerSecond: own.sustainedPerSecond,
          ingestPerSecond: own.load.perSecond,
          serverMs: perEvent(own, own.processorSeconds),
          postgresMs: perEvent(own, postgresSeconds),
          ...(other && { nodeRedPerSecond: other.perSecond, nodeRedMs: perEvent(other, other.processorSeconds) }),
        });
        const beside = other ? `, Node-RED ${other.perSecond.toFixed(0)}/s` : '';
        say(
          `B2 ${receivers} receiver(s), round ${n}/${plan.rounds}: ${own.perSecond.toFixed(0)} deliveries/s${beside}`,
        );
      }
      if (plan.settle) await postgres.settle();
      const after = await postgres.counts(databaseUrl);
      const costs = countsPer(events, before, after);
      const { peakMb, residentMb } = await usageOf(flow.pid);
      const more = await then(flow, receiver, nodeRed);
      const rate = {
        receivers,
        rounds,
        costs,
        peakMb,
        residentMb,
        loadShare: shares.load,
        receiverShare: shares.receiver,
      };
      return { rate, more };
    } finally {
      await nodeRed?.stop();
      await discard(flow.server);
      await receiver.stop();
      await postgres.drop(databaseUrl);
    }
  }

  async function latencies(
    flow: WebhookFlow,
    receiver: ReceiverProcess,
    nodeRed: NodeRed | undefined,
  ): Promise<readonly Latency[]> {
    const at = (target: FlowTarget & Pick<WebhookFlow, 'alerts'>, rate: number, seconds: number) =>
      driveFlow(target, receiver, target.alerts, { connections: CONNECTIONS, rate, count: Math.ceil(rate * seconds) });
    const all: Latency[] = [];
    for (const [rate, seconds] of plan.paces) {
      const other = nodeRed && (await at(nodeRed, rate, seconds));
      const own = await at(flow, rate, seconds);
      await checked(flow, own);
      all.push({ rate, arrival: own.arrival, ...(other && { nodeRed: other.arrival }) });
      say(`B2 ${rate} events/s: p50 ${own.arrival.p50.toFixed(1)} ms, p99 ${own.arrival.p99.toFixed(1)} ms`);
    }
    return all;
  }

  try {
    const one = await withFlow(1, latencies);
    const many = await withFlow(plan.manyReceivers, async () => undefined);
    const receivers = plan.manyReceivers;
    const hanging = await measureHanging(postgres, { receivers, events: plan.hangingEvents }, faults);
    const waiting = await measureWaiting(postgres, { receivers, deliveries: plan.waiting }, faults);
    delivered += hanging.delivered + waiting.deliveries;
    const result = { one: one.rate, latencies: one.more, many: many.rate, hanging, waiting };
    return {
      rows: [
        ...rateRows(one.rate),
        ...costRows(one.rate),
        ...one.more.flatMap(latencyRows),
        ...rateRows(many.rate),
        atLeast(`${hanging.hanging} of ${receivers} receivers hang: rate of the others, ratio`, hanging.ratio, 0.9),
        row('without them: deliveries/s to the others', hanging.alonePerSecond),
        atMost(`${waiting.deliveries} deliveries pending: peak memory, MB`, waiting.waitingPeakMb, 300),
        atMost('after they were sent: peak memory, MB', waiting.drainedPeakMb, 300),
      ],
      verified: `${delivered} acknowledged requests, each delivered once, to the right receiver, with valid signatures`,
      faults: faults.list,
      result,
    };
  } finally {
    await postgres.stop();
  }
}

export const endToEnd: Benchmark = { id: 'B2', title: 'webhook to signed delivery', run };
