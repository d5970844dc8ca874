import { ADMIN_TOKEN, type TestServer } from '../support/server.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type BenchmarkOptions,
  median,
  type Report,
  row,
  rowsIf,
  say,
  type Size,
} from './benchmark.js';
import { type Acknowledged, runLoad } from './load/load-process.js';
import { type Call, ReceiverProcess } from './load/receiver-process.js';
import { BenchPostgres, countsPer, type DatabaseCounts } from './measure/bench-postgres.js';
import { pollGently } from './measure/poll-gently.js';
import { sharedClock, usageOf } from './measure/process-usage.js';
import { Dbos } from './peers/dbos.js';
import { Faults } from './scenario/check-flow.js';
import { caughtUp } from './measure/caught-up.js';
import { discard, startServer } from './scenario/bench-server.js';
import { countRows } from './scenario/end-to-end-figures.js';
import { inLanes } from './scenario/webhook-flow.js';

/**
 * B4: durable three-step runs per second, started through the API, until all have completed: with 32 callers, and with one
 * that waits for each run to end. Baseline: DBOS with the same steps on the same PostgreSQL, called inside its own process.
 */
interface Plan {
  readonly rounds: number;
  /** Runs started by 32 callers, and by one. */
  readonly transform: readonly [many: number, one: number];
  readonly http: readonly [many: number, one: number];
  /** Wait until PostgreSQL's statistics are complete. */
  readonly settle: boolean;
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: { rounds: 3, transform: [4_000, 600], http: [2_000, 300], settle: true },
  quick: { rounds: 1, transform: [800, 100], http: [400, 50], settle: true },
  smoke: { rounds: 1, transform: [8, 2], http: [8, 2], settle: false },
};

type Kind = 'transform' | 'http';
const CALLERS = 32;
const STEPS = ['one', 'two', 'three'];

const trigger = `
name: bench
triggers:
  - type: manual
    inputs:
      key: { type: string, required: true }
      url: { type: string, required: true }
`;
const WORKFLOWS: Readonly<Record<Kind, string>> = {
  transform: `${trigger}
steps:
  - { id: one, uses: transform, with: { expression: '{ key: inputs.key, size: length(inputs.key) }' } }
  - { id: two, uses: transform, with: { expression: "join('/', ['runs', steps.one.output.key])" } }
  - { id: three, uses: transform, with: { expression: '{ name: steps.two.output, size: steps.one.output.size }' } }
outputs:
  name: '\${{ steps.three.output.name }}'
  size: '\${{ steps.three.output.size }}'
`,
  http: `${trigger}
steps:${STEPS.map(
    (id) => `
  - id: ${id}
    uses: http
    with: { method: POST, url: '\${{ inputs.url }}/${id}/\${{ inputs.key }}', body: { key: '\${{ inputs.key }}' } }`,
  ).join('')}
outputs:
  name: 'runs/\${{ inputs.key }}'
  size: '\${{ steps.three.output.status }}'
`,
};

interface Figures {
  readonly perSecond: number;
  /** CPU of the server and PostgreSQL per run. */
  readonly processorMs: number;
  readonly loadShare: number;
  readonly dbosPerSecond?: number;
  readonly dbosProcessorMs?: number;
}

interface Measured {
  readonly many: readonly Figures[];
  readonly one: readonly Figures[];
  /** Per run, in the last round of many callers. */
  readonly counts: DatabaseCounts;
}

interface Run {
  readonly id: string;
  readonly status: string;
  readonly endedAt?: string;
  readonly inputs: { readonly key: string };
  readonly outputs?: { readonly name: string; readonly size: number };
}

const authorization = { authorization: `Bearer ${ADMIN_TOKEN}` };

async function measure(
  postgres: BenchPostgres,
  { rounds, settle, ...sizes }: Plan,
  kind: Kind,
  peers: boolean,
  faults: Faults,
): Promise<Measured> {
  const receiver = await ReceiverProcess.start(1);
  const databaseUrl = await postgres.createDatabase();
  const server = await startServer(databaseUrl);
  const dbos = peers
    ? await Dbos.start(await postgres.createDatabase(), kind === 'http' ? receiver.url(0) : undefined)
    : undefined;

  /** Starts runs, waits until all have ended, and checks them. */
  const own = async (callers: number, count: number, isCounted = false) => {
    await receiver.take();
    const counted = async () => {
      if (settle && isCounted) await postgres.settle();
      return postgres.counts(databaseUrl);
    };
    const countsBefore = await counted();
    const [before, postgresBefore] = [await usageOf(server.child.pid!), await postgres.processorSeconds()];
    const inputs = { key: '#'.repeat(36), url: receiver.url(0) };
    const { load, acknowledged } = await runLoad({
      port: Number(new URL(server.url).port),
      path: '/api/v1/workflows/bench/runs',
      connections: callers,
      count,
      id: { idInBody: true },
      variants: [
        { body: JSON.stringify({ inputs }), headers: { ...authorization, 'content-type': 'application/json' } },
      ],
      ...(callers === 1 && { follow: { path: '/api/v1/runs', headers: authorization } }),
    });
    const startedAt = Date.now() - (sharedClock() - load.start);
    await pollGently('the end of the runs', () => allEnded(server));
    await caughtUp(server);
    const processor =
      (await usageOf(server.child.pid!)).seconds -
      before.seconds +
      (await postgres.processorSeconds()) -
      postgresBefore;
    const counts = countsPer(count, countsBefore, await counted());
    const endedAt = await check(server, kind, acknowledged, await receiver.take(), faults);
    return {
      perSecond: count / (callers === 1 ? load.seconds : (endedAt - startedAt) / 1000),
      processorMs: (processor / count) * 1000,
      loadShare: load.processorShare,
      counts,
    };
  };
  const theirs = async (callers: number, count: number) => {
    if (!dbos) return {};
    await receiver.take();
    const postgresBefore = await postgres.processorSeconds();
    const { seconds, right, processorSeconds } = await dbos.run(callers, count);
    const processor = processorSeconds + (await postgres.processorSeconds()) - postgresBefore;
    if (right !== count) faults.add('DBOS runs with a wrong output');
    const calls = await receiver.take();
    if (calls.length !== (kind === 'http' ? STEPS.length * count : 0))
      faults.add('rounds with a wrong number of DBOS calls');
    return { dbosPerSecond: count / seconds, dbosProcessorMs: (processor / count) * 1000 };
  };

  try {
    await server.call('PUT', '/api/v1/workflows/bench', { source: WORKFLOWS[kind] });
    const [manyRuns, oneRuns] = sizes[kind];
    const result = { many: [] as Figures[], one: [] as Figures[] };
    await theirs(CALLERS, Math.ceil(manyRuns / 8));
    await own(CALLERS, Math.ceil(manyRuns / 8));
    let counts: DatabaseCounts | undefined;
    for (let n = 1; n <= rounds; n++)
      for (const [who, callers, count] of [['many', CALLERS, manyRuns] as const, ['one', 1, oneRuns] as const]) {
        const figures = { ...(await theirs(callers, count)), ...(await own(callers, count, who === 'many')) };
        if (who === 'many') ({ counts } = figures);
        result[who].push(figures);
        const beside = 'dbosPerSecond' in figures ? `, DBOS ${figures.dbosPerSecond?.toFixed(0)}/s` : '';
        say(`B4 ${kind}, ${callers} caller(s), round ${n}/${rounds}: ${figures.perSecond.toFixed(0)} runs/s${beside}`);
      }
    return { ...result, counts: counts! };
  } finally {
    await dbos?.stop();
    await discard(server);
    await receiver.stop();
    await postgres.drop(databaseUrl);
  }
}

async function allEnded(server: TestServer): Promise<boolean> {
  for (const status of ['running', 'waiting']) {
    const { data } = await server.get<{ data: object[] }>(`/api/v1/runs?workflow=bench&status=${status}&limit=1`);
    if (data.length > 0) return false;
  }
  return true;
}

/** Every started run has completed with its own output, and each of its calls was made once. @returns when the last one ended. */
async function check(
  server: TestServer,
  kind: Kind,
  acknowledged: readonly Acknowledged[],
  calls: readonly Call[],
  faults: Faults,
): Promise<number> {
  let last = 0;
  await inLanes(acknowledged, 16, async ({ id, answerId }) => {
    const { status, inputs, outputs, endedAt = '' } = await server.get<Run>(`/api/v1/runs/${answerId}`);
    if (status !== 'completed') faults.add(`runs that are ${status}`, answerId);
    last = Math.max(last, Date.parse(endedAt));
    if (inputs.key !== id) faults.add('runs with inputs of another', answerId);
    const size = kind === 'http' ? 200 : id.length;
    if (outputs?.name !== `runs/${id}` || outputs.size !== size) faults.add('runs with a wrong output', answerId);
  });
  const open = new Set(kind === 'http' ? acknowledged.flatMap(({ id }) => STEPS.map((step) => `/${step}/${id}`)) : []);
  for (const { path } of calls) if (!open.delete(path)) faults.add('calls made twice, or never asked for', path);
  for (const path of open) faults.add('calls never made', path);
  return last;
}

async function run({ size, peers }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const faults = new Faults();
  const postgres = await BenchPostgres.start();
  try {
    const transform = await measure(postgres, plan, 'transform', peers, faults);
    const http = await measure(postgres, plan, 'http', peers, faults);
    const runs = plan.rounds * [...plan.transform, ...plan.http].reduce((sum, count) => sum + count);
    return {
      rows: [
        ...rows('transform, 32 callers', transform.many, 5),
        ...rows('transform, 1 caller', transform.one, 1),
        ...countRows('transform, per run', transform.counts),
        ...rows('http, 32 callers', http.many, 2),
        ...rows('http, 1 caller', http.one, 1),
        ...countRows('http, per run', http.counts),
      ],
      verified: `${runs} runs completed with their own output, each call made once`,
      faults: faults.list,
      result: { transform, http },
    };
  } finally {
    await postgres.stop();
  }
}

function rows(what: string, rounds: readonly Figures[], target: number) {
  const middle = (figure: (round: Figures) => number | undefined) =>
    median(rounds.map((round) => figure(round) ?? Number.NaN));
  const ratio =
    rounds[0]!.dbosPerSecond === undefined ? undefined : middle((round) => round.perSecond / round.dbosPerSecond!);
  return [
    ...rowsIf(ratio, (known) => [
      atLeast(`${what}: ratio to DBOS`, known, target),
      row(
        `${what}: DBOS, runs/s`,
        middle((round) => round.dbosPerSecond),
      ),
      row(
        `${what}: CPU of DBOS and PostgreSQL per run, ms`,
        middle((round) => round.dbosProcessorMs),
        2,
      ),
    ]),
    row(
      `${what}: runs/s`,
      middle((round) => round.perSecond),
    ),
    row(
      `${what}: CPU of server and PostgreSQL per run, ms`,
      middle((round) => round.processorMs),
      2,
    ),
    atMost(`${what}: load generator, share of a core`, Math.max(...rounds.map(({ loadShare }) => loadShare)), 0.5, 2),
  ];
}

export const workflows: Benchmark = { id: 'B4', title: 'durable three-step runs', run };
