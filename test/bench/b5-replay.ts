import { setTimeout as delay } from 'node:timers/promises';

import { type TestServer } from '../support/server.js';
import { atLeast, type Benchmark, type BenchmarkOptions, type Report, row, say, type Size } from './benchmark.js';
import { ReceiverProcess } from './load/receiver-process.js';
import { BenchPostgres, logHead, query } from './measure/bench-postgres.js';
import { caughtUp } from './measure/caught-up.js';
import { usageOf } from './measure/process-usage.js';
import { discard, startServer } from './scenario/bench-server.js';
import { driveFlow } from './scenario/drive-flow.js';
import { WebhookFlow } from './scenario/webhook-flow.js';

/**
 * B5: how fast all subscribers rebuild their views from the log. The log is filled by the server itself: pushes, verdicts,
 * deliveries and runs. Then all views and checkpoints are removed and the server starts again. The verify pass compares every
 * table with what it held before; nothing may be appended to the log, and no receiver called.
 */
interface Plan {
  /** In the log, at least. */
  readonly events: number;
  /** Every push leads to a delivery and a run. */
  readonly pushesPerRound: number;
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: { events: 100_000, pushesPerRound: 2_000 },
  quick: { events: 6_000, pushesPerRound: 500 },
  smoke: { events: 60, pushesPerRound: 10 },
};

/** Not made from the log. */
const KEPT = [
  'secrets',
  'idempotency',
  'processes',
  'integration_counters',
  'installation',
  'token_uses',
  'migrations',
];
/** Made from the log, but their rows also tell when and in which order that was. */
const COUNTED_ONLY = ['checkpoints'];

const WORKFLOW = `
name: bench
triggers:
  - { type: event, event: git.push }
steps:
  - { id: one, uses: transform, with: { expression: 'event.data.branch' } }
  - { id: two, uses: transform, with: { expression: 'length(event.data.commits)' } }
outputs:
  branch: '\${{ steps.one.output }}'
`;

interface Rebuilt {
  readonly events: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly normalStartSeconds: number;
  readonly startedMb: number;
  readonly peakMb: number;
  /** The most in the last quarter of the time over the most in the second one. */
  readonly growthMb: number;
}

type Contents = Readonly<Record<string, string>>;

async function run({ size }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const faults: string[] = [];
  const postgres = await BenchPostgres.start();
  const receiver = await ReceiverProcess.start(1);
  const databaseUrl = await postgres.createDatabase();
  let server: TestServer | undefined;
  try {
    const flow = await WebhookFlow.start({ databaseUrl, receiver });
    server = flow.server;
    await server.call('PUT', '/api/v1/workflows/bench', { source: WORKFLOW });
    for (let head = 0; head < plan.events; head = await logHead(databaseUrl)) {
      await driveFlow(flow, receiver, flow.pushes, { connections: 32, count: plan.pushesPerRound });
      say(`B5 filling: ${await logHead(databaseUrl)} of ${plan.events} events`);
    }
    await flow.settled();
    await server.stop();

    const before = await contentsOf(databaseUrl);
    const events = await logHead(databaseUrl);
    const started = performance.now();
    server = await startServer(databaseUrl);
    await caughtUp(server);
    const normalStartSeconds = (performance.now() - started) / 1000;
    const { residentMb } = await usageOf(server.child.pid!);
    await server.stop();

    await removeViews(databaseUrl);
    await receiver.take();
    const began = performance.now();
    server = await startServer(databaseUrl);
    const samples = await memoryUntilCaughtUp(server);
    const seconds = (performance.now() - began) / 1000 - normalStartSeconds;
    await caughtUp(server);
    await server.stop();

    const after = await contentsOf(databaseUrl);
    for (const [table, content] of Object.entries(before))
      if (after[table] !== content) faults.push(`views.${table} was ${content} and is ${after[table]}`);
    const added = (await logHead(databaseUrl)) - events;
    if (added > 0) faults.push(`the replay appended ${added} events`);
    const calls = await receiver.take();
    if (calls.length > 0) faults.push(`the replay sent ${calls.length} deliveries again`);

    const quarter = Math.ceil(samples.length / 4);
    const most = (part: readonly number[]) => Math.max(...(part.length === 0 ? samples : part));
    const result: Rebuilt = {
      events,
      seconds,
      perSecond: events / seconds,
      normalStartSeconds,
      startedMb: residentMb,
      peakMb: most(samples),
      growthMb: most(samples.slice(-quarter)) - most(samples.slice(quarter, 2 * quarter)),
    };
    return {
      rows: [
        atLeast(`${events} events through all subscribers, events/s`, result.perSecond, 30_000, 0),
        row('seconds, beyond those of a normal start', seconds, 2),
        row('normal start until caught up, seconds', normalStartSeconds, 2),
        row('memory after a normal start, MB', residentMb),
        row('peak memory during the replay, MB', result.peakMb),
        row('memory growth from the second to the last quarter, MB', result.growthMb),
      ],
      verified: `${Object.keys(before).length} tables are as before, nothing appended, nothing sent`,
      faults,
      result,
    };
  } finally {
    await discard(server);
    await receiver.stop();
    await postgres.drop(databaseUrl);
    await postgres.stop();
  }
}

const tablesOf = async (url: string): Promise<readonly string[]> =>
  (
    await query<{ name: string }>(
      url,
      `select table_name as name from information_schema.tables
        where table_schema = 'views' and table_type = 'BASE TABLE' and table_name <> all($1) order by 1`,
      [KEPT],
    )
  ).map(({ name }) => name);

/** Number of rows and a checksum over all rows, by table. */
async function contentsOf(url: string): Promise<Contents> {
  const contents: Record<string, string> = {};
  for (const table of await tablesOf(url)) {
    const [found] = await query<{ rows: string; sum: string }>(
      url,
      `select count(*)::text as rows, coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), 'empty') as sum
         from views.${table} t`,
    );
    contents[table] = COUNTED_ONLY.includes(table) ? `${found!.rows} rows` : `${found!.rows} rows ${found!.sum}`;
  }
  return contents;
}

/** As a rebuild of everything: this uses the product's own command as soon as there is one. */
async function removeViews(url: string): Promise<void> {
  const tables = (await tablesOf(url)).map((name) => `views.${name}`);
  await query(url, `truncate ${tables.join(', ')} restart identity`);
}

/** Resident memory in MB every tenth of a second until no subscriber lags. */
async function memoryUntilCaughtUp(server: TestServer): Promise<readonly number[]> {
  const samples: number[] = [];
  for (;;) {
    samples.push((await usageOf(server.child.pid!)).residentMb);
    const { data } = await server.get<{ data: readonly { lag: number }[] }>('/api/v1/subscribers');
    if (data.every(({ lag }) => lag === 0)) return samples;
    await delay(100);
  }
}

export const replay: Benchmark = { id: 'B5', title: 'replay through all subscribers', run };
