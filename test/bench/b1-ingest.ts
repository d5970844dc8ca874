import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

import { ADMIN_TOKEN, freePort, ROOT, type TestServer } from '../support/server.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type BenchmarkOptions,
  median,
  type Report,
  row,
  say,
  type Size,
} from './benchmark.js';
import { type Load, type LoadOptions, runLoad, sha256Signature } from './load/load-process.js';
import { type SenderName, senderOf, SENDERS } from './load/senders.js';
import { BenchPostgres } from './measure/bench-postgres.js';
import { usageOf } from './measure/process-usage.js';
import { caughtUp } from './measure/caught-up.js';
import { discard, startServer } from './scenario/bench-server.js';

/**
 * B1: signed requests acknowledged per second, durable in the log, 64 connections. Baselines, measured in turns in the same
 * run: a bare Fastify handler that checks the HMAC and parses the JSON, and a handwritten one that also inserts a row with
 * `pg`. The verify pass reads the log through the API: every acknowledged request is there, once.
 */
interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly senders: readonly SenderName[];
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: { rounds: 5, seconds: 5, senders: SENDERS },
  quick: { rounds: 1, seconds: 2, senders: SENDERS },
  smoke: { rounds: 1, seconds: 0.2, senders: ['slack'] },
};

interface Round {
  readonly bare: number;
  readonly inserting: number;
  readonly millrace: number;
  readonly serverMicros: number;
  readonly postgresMicros: number;
  readonly loadShare: number;
}

export interface IngestResult {
  readonly rounds: readonly Round[];
  readonly bareRatio: number;
  readonly insertingRatio: number;
  readonly perSecond: number;
  readonly p50At70PercentMs: number;
  readonly p99At70PercentMs: number;
  readonly processorMicros: number;
  readonly acknowledged: number;
  readonly missing: number;
  readonly twice: number;
}

const SECRET = 'bench-secret-0123456789';
const CONNECTIONS = 64;

async function measureIngest(
  postgres: BenchPostgres,
  { rounds, seconds }: Plan,
  from: SenderName,
  personal: boolean,
): Promise<IngestResult> {
  const sender = senderOf(from, SECRET);
  const databaseUrl = await postgres.createDatabase();
  const [bare, inserting] = [await handler(), await handler(await postgres.createDatabase())];
  const server = await startServer(databaseUrl);
  try {
    const integration = {
      name: 'bench',
      provider: sender.provider,
      secret: SECRET,
      ...(personal && { personal: true }),
    };
    const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', integration);
    const common = { id: sender.id, connections: CONNECTIONS };
    // The baselines check the same kind of signature for every sender, over the same body.
    const signed = { ...sender.headers, 'x-hub-signature-256': sha256Signature(SECRET, sender.body) };
    const plain = {
      ...common,
      id: { idHeader: 'x-github-delivery' },
      variants: [{ body: sender.body, headers: signed }],
    };
    const port = Number(new URL(server.url).port);
    const own: LoadOptions = { ...common, port, path: `/api/v1/webhooks/inbound/${slug}`, variants: [sender] };
    const acknowledged: string[] = [];
    const load = async (options: LoadOptions): Promise<Load> => {
      const done = await runLoad(options);
      if (options.port === port) for (const { id } of done.acknowledged) acknowledged.push(id);
      return done.load;
    };
    const handled = ({ port }: Handler, seconds: number) => load({ ...plain, port, path: '/hook', seconds });

    for (const one of [bare, inserting]) await handled(one, Math.min(seconds, 2));
    await load({ ...own, seconds: Math.min(seconds, 3) });
    const measured: Round[] = [];
    for (let round = 1; round <= rounds; round++) {
      const bareRate = (await handled(bare, seconds)).perSecond;
      const insertingRate = (await handled(inserting, seconds)).perSecond;
      await caughtUp(server);
      const before = await processors(server, postgres);
      const ours = await load({ ...own, seconds });
      await caughtUp(server);
      const after = await processors(server, postgres);
      const micros = (name: 'server' | 'postgres') => ((after[name] - before[name]) / ours.acknowledged) * 1e6;
      measured.push({
        bare: bareRate,
        inserting: insertingRate,
        millrace: ours.perSecond,
        serverMicros: micros('server'),
        postgresMicros: micros('postgres'),
        loadShare: ours.processorShare,
      });
      say(
        `B1 ${from} round ${round}/${rounds}: bare handler ${bareRate.toFixed(0)}/s, with an insert ` +
          `${insertingRate.toFixed(0)}/s, Millrace ${ours.perSecond.toFixed(0)}/s`,
      );
    }
    const perSecond = median(measured.map((round) => round.millrace));
    const calm = await load({ ...own, seconds, rate: 0.7 * perSecond });

    say('B1 verify pass: reading the log back');
    const seen = await deliveriesInLog(server, sender.type);
    return {
      rounds: measured,
      bareRatio: median(measured.map((round) => round.millrace / round.bare)),
      insertingRatio: median(measured.map((round) => round.millrace / round.inserting)),
      perSecond,
      p50At70PercentMs: calm.p50,
      p99At70PercentMs: calm.p99,
      processorMicros: median(measured.map(({ serverMicros, postgresMicros }) => serverMicros + postgresMicros)),
      acknowledged: acknowledged.length,
      missing: acknowledged.filter((id) => !seen.has(id)).length,
      twice: [...seen.values()].filter((count) => count > 1).length,
    };
  } finally {
    for (const { child } of [bare, inserting]) await end(child);
    await discard(server);
  }
}

interface Handler {
  readonly child: ChildProcess;
  readonly port: number;
}

/** @param databaseUrl where it inserts rows; without it, it stores nothing. */
async function handler(databaseUrl?: string): Promise<Handler> {
  const port = await freePort();
  const args = [
    'test/bench/load/baseline.mjs',
    String(port),
    SECRET,
    ...(databaseUrl === undefined ? [] : [databaseUrl]),
  ];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { child, port };
}

const processors = async (server: TestServer, postgres: BenchPostgres) => ({
  server: (await usageOf(server.child.pid!)).seconds,
  postgres: await postgres.processorSeconds(),
});

/** Delivery ids of all events of a type in the log with how often each is there, streamed as NDJSON. */
async function deliveriesInLog(server: TestServer, type: string): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  // The export reads the event index, which follows the log.
  await caughtUp(server);
  const answer = await fetch(`${server.url}/api/v1/events?type=${type}`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, accept: 'application/x-ndjson' },
  });
  if (!answer.ok || !answer.body) throw new Error(`the export answered ${answer.status}: ${await answer.text()}`);
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const id = (JSON.parse(line) as { data: { deliveryId: string } }).data.deliveryId;
      seen.set(id, (seen.get(id) ?? 0) + 1);
    }
  }
  if (rest !== '') throw new Error('the export ended in the middle of a line');
  return seen;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill();
  await once(child, 'exit');
}

async function run({ size, senders, personal = false }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const postgres = await BenchPostgres.start();
  try {
    const results: Record<string, IngestResult> = {};
    for (const name of senders ? SENDERS.filter((one) => senders.includes(one)) : plan.senders)
      results[name] = await measureIngest(postgres, plan, name, personal);
    const all = Object.entries(results);
    const sum = (figure: (one: IngestResult) => number) => all.reduce((total, [, one]) => total + figure(one), 0);
    return {
      rows: all.flatMap(([name, one]) => [
        atLeast(`${name}: ratio to the bare handler`, one.bareRatio, 0.45),
        atLeast(`${name}: ratio to a handler that inserts a row`, one.insertingRatio, 2),
        row(`${name}: requests/s`, one.perSecond),
        atMost(`${name}: CPU of server and PostgreSQL per event, µs`, one.processorMicros, 150),
        atMost(`${name}: p99 at 70 % load, ms`, one.p99At70PercentMs, 50, 1),
        atMost(
          `${name}: load generator, share of a core`,
          Math.max(...one.rounds.map(({ loadShare }) => loadShare)),
          0.5,
          2,
        ),
      ]),
      verified: `${sum((one) => one.acknowledged)} acknowledged requests, each in the log once`,
      faults: all.flatMap(([name, { missing, twice }]) => [
        ...(missing > 0 ? [`${name}: ${missing} acknowledged, but not in the log`] : []),
        ...(twice > 0 ? [`${name}: ${twice} in the log twice`] : []),
      ]),
      result: results,
    };
  } finally {
    await postgres.stop();
  }
}

export const ingest: Benchmark = { id: 'B1', title: 'ingest', run };
