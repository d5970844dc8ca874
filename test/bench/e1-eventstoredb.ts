import {
  atMost,
  type Benchmark,
  type BenchmarkOptions,
  median,
  type Report,
  row,
  say,
  type Size,
} from './benchmark.js';
import { ReceiverProcess } from './load/receiver-process.js';
import { BenchPostgres } from './measure/bench-postgres.js';
import { BenchEventStoreDb } from './measure/eventstoredb.js';
import { usageOf } from './measure/process-usage.js';
import { discard } from './scenario/bench-server.js';
import { checkCalls, checkDeliveries, Faults } from './scenario/check-flow.js';
import { driveFlow, type FlowRun } from './scenario/drive-flow.js';
import { WebhookFlow } from './scenario/webhook-flow.js';

/**
 * E1: the flow of B2 with the log in EventStoreDB, whose cost grows with the number of appends. Counts the appends for a
 * webhook that leads to a delivery, and compares the CPU time of the server with the log in PostgreSQL, in turns in the same run.
 * EventStoreDB is the double of the tests, in its own process: it speaks the real protocol and keeps everything in memory.
 */
interface Plan {
  readonly events: number;
  readonly rounds: number;
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: { events: 5_000, rounds: 3 },
  quick: { events: 1_000, rounds: 1 },
  smoke: { events: 20, rounds: 1 },
};

interface Round {
  readonly appendsPerEvent: number;
  readonly eventsPerEvent: number;
  readonly serverMs: number;
  readonly serverMsWithPostgres: number;
  readonly doubleMs: number;
  readonly perSecond: number;
  readonly perSecondWithPostgres: number;
}

async function run({ size }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const faults = new Faults();
  const postgres = await BenchPostgres.start();
  const receiver = await ReceiverProcess.start(1);
  const double = await BenchEventStoreDb.start();
  const flows: WebhookFlow[] = [];
  let delivered = 0;
  const drive = async (flow: WebhookFlow, count: number): Promise<FlowRun> => {
    const own = await driveFlow(flow, receiver, flow.pushes, { connections: 32, count });
    checkCalls(own.acknowledged, own.calls, faults);
    checkDeliveries(own, await flow.deliveries(own.startedAt), flow.webhooks, faults);
    delivered += own.acknowledged.length;
    return own;
  };
  const msOf = (own: FlowRun) => (own.processorSeconds / own.acknowledged.length) * 1000;
  try {
    const env = { EVENTSTORE_URL: double.connectionString };
    const withDouble = await WebhookFlow.start({ databaseUrl: await postgres.createDatabase(), receiver, env });
    flows.push(withDouble);
    const withPostgres = await WebhookFlow.start({ databaseUrl: await postgres.createDatabase(), receiver });
    flows.push(withPostgres);
    for (const flow of flows) await drive(flow, Math.ceil(plan.events / 5));
    const rounds: Round[] = [];
    let byStream: Record<string, number> = {};
    for (let n = 1; n <= plan.rounds; n++) {
      const other = await drive(withPostgres, plan.events);
      const [before, usageBefore] = [await double.appended(), await usageOf(double.pid)];
      const own = await drive(withDouble, plan.events);
      const [after, usageAfter] = [await double.appended(), await usageOf(double.pid)];
      const each = (count: number) => count / own.acknowledged.length;
      byStream = Object.fromEntries(
        Object.entries(after.byStream).map(([kind, count]) => [kind, each(count - (before.byStream[kind] ?? 0))]),
      );
      rounds.push({
        appendsPerEvent: each(after.appends - before.appends),
        eventsPerEvent: each(after.events - before.events),
        serverMs: msOf(own),
        serverMsWithPostgres: msOf(other),
        doubleMs: each(usageAfter.seconds - usageBefore.seconds) * 1000,
        perSecond: own.perSecond,
        perSecondWithPostgres: other.perSecond,
      });
      say(
        `E1 round ${n}/${plan.rounds}: ${own.perSecond.toFixed(0)} deliveries/s with EventStoreDB, ` +
          `${other.perSecond.toFixed(0)}/s with PostgreSQL`,
      );
    }
    const middle = (figure: (round: Round) => number) => median(rounds.map(figure));
    const kinds = Object.entries(byStream)
      .filter(([, count]) => count >= 0.005)
      .map(([kind, count]) => `${kind} ${count.toFixed(2)}`);
    const ratio = middle((round) => round.serverMs / round.serverMsWithPostgres);
    return {
      rows: [
        atMost(
          'appends per webhook that leads to a delivery',
          middle((round) => round.appendsPerEvent),
          3,
          2,
        ),
        row('of them by kind of stream', kinds.join(' ')),
        row(
          'log events per webhook',
          middle((round) => round.eventsPerEvent),
          2,
        ),
        atMost('CPU of the server per event, ratio to PostgreSQL', ratio, 1.2, 2),
        row(
          'CPU of the server per event, ms',
          middle((round) => round.serverMs),
          2,
        ),
        row(
          'CPU of the server per event with PostgreSQL, ms',
          middle((round) => round.serverMsWithPostgres),
          2,
        ),
        row(
          'CPU of the double per event, ms',
          middle((round) => round.doubleMs),
          2,
        ),
        row(
          'deliveries/s',
          middle((round) => round.perSecond),
        ),
        row(
          'deliveries/s with PostgreSQL',
          middle((round) => round.perSecondWithPostgres),
        ),
      ],
      verified: `${delivered} acknowledged requests, each delivered once, with valid signatures`,
      faults: faults.list,
      result: { rounds, byStream },
    };
  } finally {
    for (const { server } of flows) await discard(server);
    await double.stop();
    await receiver.stop();
    await postgres.stop();
  }
}

export const eventstoredb: Benchmark = { id: 'E1', title: 'the log in EventStoreDB', run };
