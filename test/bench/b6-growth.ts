import { eventUuidOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';

import { type TestServer } from '../support/server.js';
import {
  atLeast,
  type Benchmark,
  type BenchmarkOptions,
  median,
  type Report,
  row,
  say,
  type Size,
} from './benchmark.js';
import { runLoad } from './load/load-process.js';
import { ReceiverProcess } from './load/receiver-process.js';
import { BenchPostgres, logHead, query } from './measure/bench-postgres.js';
import { caughtUp } from './measure/caught-up.js';
import { usageOf } from './measure/process-usage.js';
import { discard, startServer } from './scenario/bench-server.js';
import { checkCalls, checkDeliveries, Faults } from './scenario/check-flow.js';
import { driveFlow } from './scenario/drive-flow.js';
import { copyStream, growLog } from './scenario/grow-log.js';
import { WebhookFlow } from './scenario/webhook-flow.js';

/**
 * B6: the rates of B1 and B2, the start and the lists on a large log with large tables and many webhooks, compared with those
 * on a small log, in turns in the same run.
 */
interface Amount {
  readonly events: number;
  /** Rows in the tables of deliveries, decisions and runs, at least. */
  readonly rows: number;
  readonly webhooks: number;
}

interface Plan {
  readonly small: Amount;
  readonly large: Amount;
  readonly rounds: number;
  /** Of each round. */
  readonly ingested: number;
  readonly delivered: number;
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: {
    small: { events: 10_000, rows: 10_000, webhooks: 10 },
    large: { events: 1_000_000, rows: 1_000_000, webhooks: 10_000 },
    rounds: 3,
    ingested: 10_000,
    delivered: 3_000,
  },
  quick: {
    small: { events: 5_000, rows: 5_000, webhooks: 10 },
    large: { events: 100_000, rows: 100_000, webhooks: 1_000 },
    rounds: 1,
    ingested: 4_000,
    delivered: 1_000,
  },
  smoke: {
    small: { events: 200, rows: 50, webhooks: 2 },
    large: { events: 600, rows: 150, webhooks: 5 },
    rounds: 1,
    ingested: 20,
    delivered: 10,
  },
};

/** Pushes and alerts that the server records itself, to be copied. */
const RECORDED = 16;
const LISTS = ['events', 'deliveries', 'runs', 'outbound-webhooks', 'rules'];

interface Measured {
  readonly events: number;
  /** Rows by table. */
  readonly tables: Readonly<Record<string, number>>;
  readonly startSeconds: number;
  readonly residentMb: number;
  readonly ingestPerSecond: number[];
  readonly deliveriesPerSecond: number[];
  /** Milliseconds of the first page, median. */
  readonly lists: Readonly<Record<string, number>>;
}

interface Grown {
  readonly flow: WebhookFlow;
  readonly measured: Measured;
}

/** Lets a server do some work, enlarges its database, and starts it again. Adds the servers that it starts to `servers`. */
async function grow(
  databaseUrl: string,
  receiver: ReceiverProcess,
  { events, rows, webhooks }: Amount,
  servers: TestServer[],
): Promise<Grown> {
  const first = await WebhookFlow.start({ databaseUrl, receiver });
  servers.push(first.server);
  await first.server.call('PUT', '/api/v1/workflows/bench', { source: WORKFLOW });
  // Without its test: copies are not to be sent one.
  await copyStream(databaseUrl, streams.webhook(first.webhooks[0]!), webhooks - 1, { without: ['webhook.test'] });
  await first.settled();
  const after = await logHead(databaseUrl);
  for (const requests of [first.pushes, first.alerts])
    await driveFlow(first, receiver, requests, { connections: 4, count: RECORDED });
  await first.settled();
  await first.server.stop();
  say(`B6 growing the log to ${events} events`);
  const tables = await growLog(databaseUrl, { after, events, rows });
  const began = performance.now();
  const server = await startServer(databaseUrl);
  servers.push(server);
  await caughtUp(server);
  const startSeconds = (performance.now() - began) / 1000;
  const { residentMb } = await usageOf(server.child.pid!);
  const lists = await listTimes(server);
  const now = await logHead(databaseUrl);
  const measured = { events: now, tables, startSeconds, residentMb, lists };
  return { flow: first.movedTo(server), measured: { ...measured, ingestPerSecond: [], deliveriesPerSecond: [] } };
}

const WORKFLOW = `
name: bench
triggers:
  - { type: event, event: git.push, when: "data.branch == 'main'" }
steps:
  - { id: one, uses: transform, with: { expression: 'event.data.branch' } }
`;

async function listTimes(server: TestServer): Promise<Record<string, number>> {
  const times: Record<string, number> = {};
  for (const list of LISTS) {
    const taken: number[] = [];
    for (let n = 0; n < 7; n++) {
      const began = performance.now();
      await server.get(`/api/v1/${list}?limit=50`);
      taken.push(performance.now() - began);
    }
    times[list] = median(taken);
  }
  return times;
}

async function run({ size }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const faults = new Faults();
  const postgres = await BenchPostgres.start();
  const receiver = await ReceiverProcess.start(1);
  const servers: TestServer[] = [];
  const grown: Grown[] = [];
  let checked = 0;
  try {
    const databases = [await postgres.createDatabase(), await postgres.createDatabase()];
    for (const [n, amount] of [plan.small, plan.large].entries())
      grown.push(await grow(databases[n]!, receiver, amount, servers));
    for (let round = 0; round <= plan.rounds; round++)
      for (const [n, { flow, measured }] of grown.entries()) {
        const ingest = { port: flow.port, ...flow.unmatched, connections: 64, count: plan.ingested };
        const { load, acknowledged } = await runLoad(ingest);
        await caughtUp(flow.server);
        const found = await query<{ count: string }>(
          databases[n]!,
          `select count(*) as count from views.events where id = any($1::uuid[])`,
          [acknowledged.map(({ answerId }) => eventUuidOf(answerId))],
        );
        if (Number(found[0]!.count) !== acknowledged.length) faults.add('rounds with events that are not in the index');
        const own = await driveFlow(flow, receiver, flow.pushes, { connections: 32, count: plan.delivered });
        checkCalls(own.acknowledged, own.calls, faults);
        checkDeliveries(own, await flow.deliveries(own.startedAt), flow.webhooks, faults);
        checked += own.acknowledged.length + acknowledged.length;
        // The first round warms up.
        if (round === 0) continue;
        measured.ingestPerSecond.push(load.perSecond);
        measured.deliveriesPerSecond.push(own.perSecond);
        say(
          `B6 ${measured.events} events, round ${round}/${plan.rounds}: ` +
            `${load.perSecond.toFixed(0)} requests/s, ${own.perSecond.toFixed(0)} deliveries/s`,
        );
      }
    const [small, large] = [grown[0]!.measured, grown[1]!.measured];
    for (const [table, rows] of Object.entries(large.tables))
      if (rows < plan.large.rows) faults.add(`rows missing in views.${table}`, String(plan.large.rows - rows));
    return {
      rows: rowsOf(small, large),
      verified: `${checked} acknowledged requests in the log, each push to main delivered once`,
      faults: faults.list,
      result: { small, large },
    };
  } finally {
    for (const server of servers) await discard(server);
    await receiver.stop();
    await postgres.stop();
  }
}

function rowsOf(small: Measured, large: Measured) {
  const ratio = (figure: (one: Measured) => readonly number[]) =>
    median(figure(large).map((value, round) => value / figure(small)[round]!));
  const slowest = LISTS.toSorted((a, b) => large.lists[b]! - large.lists[a]!)[0]!;
  return [
    atLeast(
      `ingest with ${large.events} events, ratio to ${small.events}`,
      ratio((one) => one.ingestPerSecond),
      0.9,
    ),
    atLeast(
      'deliveries, the same ratio',
      ratio((one) => one.deliveriesPerSecond),
      0.9,
    ),
    ...[small, large].flatMap((one) => [
      row(
        `${one.events} events: rows of deliveries, of decisions`,
        `${one.tables['deliveries']} ${one.tables['decisions']}`,
      ),
      row(`${one.events} events: requests/s`, median(one.ingestPerSecond)),
      row(`${one.events} events: deliveries/s`, median(one.deliveriesPerSecond)),
      row(`${one.events} events: start until caught up, seconds`, one.startSeconds, 2),
      row(`${one.events} events: memory after the start, MB`, one.residentMb),
      row(`${one.events} events: first page of ${slowest}, the slowest list, ms`, one.lists[slowest]!, 1),
    ]),
  ];
}

export const growth: Benchmark = { id: 'B6', title: 'growth', run };
