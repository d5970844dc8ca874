import { setTimeout as delay } from 'node:timers/promises';

import { streams } from '#libs/events/src/streams.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { type TestServer } from '../support/server.js';
import { atMost, type Benchmark, type BenchmarkOptions, type Report, row, say, type Size } from './benchmark.js';
import { BenchPostgres, query } from './measure/bench-postgres.js';
import { caughtUp } from './measure/caught-up.js';
import { usageOf } from './measure/process-usage.js';
import { discard, startServer } from './scenario/bench-server.js';
import { Faults } from './scenario/check-flow.js';
import { copyStream } from './scenario/grow-log.js';
import { inLanes } from './scenario/webhook-flow.js';
import { listening } from './scenario/listening-runs.js';

/**
 * B8: many runs that wait. B8a, asleep in a `wait`. Measures CPU time while nothing is due, memory per run, and how late runs end that are due
 * at the same moment. One run is started through the API; the others are copies of its stream, appended to the log, from which
 * the server makes their rows.
 * B8b, in a `waitForEvent`: what an event of the type that they wait for costs that none of them waits for, against a server with one
 * such run, in turns; and memory per run.
 */
interface Plan {
  readonly asleep: number;
  /** Runs due at the same moment: so many started through the API, and so many copies. */
  readonly due: number;
  /** How long to watch the idle server, in seconds. */
  readonly watch: number;
  /** Milliseconds from starting them until they are due; doubled until all are asleep by then. */
  readonly ahead: number;
  /** Runs that wait for an event, and unrelated events in each of several rounds. */
  readonly listening: number;
  readonly events: number;
  readonly rounds: number;
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: { asleep: 100_000, due: 50, watch: 20, ahead: 10_000, listening: 100_000, events: 2_000, rounds: 5 },
  quick: { asleep: 10_000, due: 50, watch: 5, ahead: 10_000, listening: 10_000, events: 1_000, rounds: 3 },
  smoke: { asleep: 20, due: 2, watch: 0.2, ahead: 2_000, listening: 20, events: 10, rounds: 1 },
};

const WORKFLOW = `
name: sleeper
triggers:
  - type: manual
    inputs: { until: { type: string, required: true }, key: { type: string, required: true } }
steps:
  - { id: before, uses: transform, with: { expression: 'inputs.key' } }
  - { id: pause, wait: { until: '\${{ inputs.until }}' } }
  - { id: after, uses: transform, with: { expression: "join('', [steps.before.output, ' woke up'])" } }
outputs:
  text: '\${{ steps.after.output }}'
`;
const KEY = 'sleeper-0123456789';

interface Run {
  readonly id: string;
  readonly status: string;
  readonly endedAt?: string;
  readonly outputs?: { readonly text: string };
}

interface Idle {
  readonly residentMb: number;
  /** Share of one core while nothing is due. */
  readonly serverShare: number;
  readonly postgresShare: number;
}

async function asleep({ size }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const faults = new Faults();
  const postgres = await BenchPostgres.start();
  const databaseUrl = await postgres.createDatabase();
  let server = await startServer(databaseUrl);
  /** Restarts the server first: its memory must not be that of earlier work. */
  const idle = async (): Promise<Idle> => {
    await server.stop();
    server = await startServer(databaseUrl);
    await caughtUp(server);
    // What filling and starting leave behind must be over: autovacuum would come in the middle of the watch.
    await query(databaseUrl, 'vacuum analyze');
    await delay(Math.min(plan.watch, 3) * 1000);
    const [before, postgresBefore] = [await usageOf(server.child.pid!), await postgres.processorSeconds()];
    await delay(plan.watch * 1000);
    const after = await usageOf(server.child.pid!);
    return {
      residentMb: after.residentMb,
      serverShare: (after.seconds - before.seconds) / plan.watch,
      postgresShare: ((await postgres.processorSeconds()) - postgresBefore) / plan.watch,
    };
  };
  const begin = (until: string) => server.post<Run>('/api/v1/workflows/sleeper/runs', { inputs: { until, key: KEY } });
  const later = new Date(Date.now() + 24 * 60 * 60 * 1000).toISOString();
  let template = '';

  /** Milliseconds from `dueAt` to the end of each run; `undefined` if not all were asleep in time. */
  const wakeTogether = async (dueAt: Date): Promise<readonly number[] | undefined> => {
    const until = dueAt.toISOString();
    const copies = await copyStream(databaseUrl, streams.run(template), plan.due, {
      replace: new Map([[later, until]]),
    });
    const started: string[] = [];
    await inLanes(Array.from({ length: plan.due }), 8, async () => void started.push((await begin(until)).id));
    await caughtUp(server);
    const inTime = Date.now() < dueAt.getTime();
    const lateMs: number[] = [];
    await inLanes([...copies, ...started], 8, async (id) => {
      const ended = await waitFor('a run to wake up', async () => {
        const found = await server.get<Run>(`/api/v1/runs/${id}`);
        return found.endedAt === undefined ? undefined : found;
      });
      if (ended.status !== 'completed') faults.add(`woken runs that are ${ended.status}`, id);
      if (ended.outputs?.text !== `${KEY} woke up`) faults.add('woken runs with a wrong output', id);
      const late = new Date(ended.endedAt!).getTime() - dueAt.getTime();
      if (late < 0) faults.add('runs that woke up too early', id);
      lateMs.push(late);
    });
    return inTime ? lateMs.sort((a, b) => a - b) : undefined;
  };

  try {
    await server.call('PUT', '/api/v1/workflows/sleeper', { source: WORKFLOW });
    template = (await begin(later)).id;
    await waitFor('the run to sleep', async () => (await statusOf(server, template)) === 'waiting');
    const alone = await idle();

    say(`B8 putting ${plan.asleep} runs to sleep`);
    await copyStream(databaseUrl, streams.run(template), plan.asleep - 1);
    await caughtUp(server);
    const count = await sleeping(databaseUrl);
    if (count !== plan.asleep) faults.add('runs that are not asleep', String(plan.asleep - count));
    const many = await idle();

    let lateMs: readonly number[] | undefined;
    for (let ahead = plan.ahead; lateMs === undefined; ahead *= 2)
      lateMs = await wakeTogether(new Date(Date.now() + ahead));
    const left = await sleeping(databaseUrl);
    if (left !== plan.asleep) faults.add('runs that did not stay asleep', String(plan.asleep - left));

    const bytesEach = ((many.residentMb - alone.residentMb) * 2 ** 20) / plan.asleep;
    return {
      rows: [
        row('1 asleep: CPU of server and PostgreSQL, % of a core', shareOf(alone), 2),
        row(`${plan.asleep} asleep: CPU of server and PostgreSQL, % of a core`, shareOf(many), 2),
        atMost('difference, % of a core', shareOf(many) - shareOf(alone), 1, 2),
        atMost('memory of the server per sleeping run, bytes', bytesEach, 1024),
        atMost(`${2 * plan.due} due at the same time: the last has ended after, ms`, lateMs.at(-1)!, 1_000),
      ],
      verified: `${plan.asleep} runs asleep, ${2 * plan.due} woke up in time with their output, the others sleep on`,
      faults: faults.list,
      result: { alone, many, bytesEach, lateMs },
    };
  } finally {
    await discard(server);
    await postgres.drop(databaseUrl);
    await postgres.stop();
  }
}

const shareOf = ({ serverShare, postgresShare }: Idle): number => (serverShare + postgresShare) * 100;

const statusOf = async (server: TestServer, id: string): Promise<string> =>
  (await server.get<Run>(`/api/v1/runs/${id}`)).status;

/** Runs that wait for a time. */
async function sleeping(url: string): Promise<number> {
  const [found] = await query<{ count: string }>(
    url,
    `select count(*) as count from views.runs where status = 'waiting' and until is not null`,
  );
  return Number(found!.count);
}

async function run(options: BenchmarkOptions): Promise<Report> {
  const [one, other] = [await asleep(options), await listening(PLANS[options.size])];
  return {
    rows: [...one.rows, ...other.rows],
    verified: `${one.verified}; ${other.verified}`,
    faults: [...one.faults, ...other.faults],
    result: { asleep: one.result, listening: other.result },
  };
}

export const waiting: Benchmark = { id: 'B8', title: 'runs that wait', run };
