import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventToAppend } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { type CheckResult, DecisionCheck } from '#libs/rules/src/trial/decision-check.js';

import { ROOT } from '../../support/server.js';
import { say } from '../benchmark.js';
import { BenchPostgres } from '../measure/bench-postgres.js';
import { TYPESCRIPT } from '../measure/typescript-process.js';
import { benchData, benchRule, definitionOf } from './bench-rules.js';

/**
 * Events a second decided and recorded by the real subscriber, from and into a log in PostgreSQL, on one process and on two.
 * The events are GitHub pushes of 8 KB; a twentieth of the rules, but ten at least, name their type. Verified afterwards:
 * every event has a verdict of every such rule, once.
 */
export interface ThroughputResult {
  readonly rules: number;
  readonly ofType: number;
  readonly processes: number;
  readonly events: number;
  readonly perSecond: number;
  /** Decided by each process. */
  readonly shares: readonly number[];
  readonly rssMb: number;
  readonly bytesPerEvent: number;
  readonly bytesPerPair: number;
  readonly wrong: number;
}

export async function measureThroughput(
  events: number,
  sizes: readonly number[],
  processCounts: readonly number[],
): Promise<ThroughputResult[]> {
  const postgres = await BenchPostgres.start();
  try {
    const results: ThroughputResult[] = [];
    for (const rules of sizes)
      for (const processes of processCounts) {
        results.push(await measure(await postgres.createDatabase(), rules, processes, events));
        say(`B3 ${rules} rules, ${processes} process(es): ${results.at(-1)!.perSecond.toFixed(0)} events/s`);
      }
    return results;
  } finally {
    await postgres.stop();
  }
}

async function measure(url: string, rules: number, processes: number, events: number): Promise<ThroughputResult> {
  await (await openDataSource({ url, entities: [] })).destroy();
  const store = await PostgresEventStore.open({ connectionString: url });
  const ofType = Math.max(10, rules / 20);
  const append = (stream: string, event: EventToAppend) => store.append(stream, [event], 'no-stream');
  const draft = (type: string, data: object, source: string) =>
    newEvent({ type, data }, { id: uuid7(), orgId: 'org_1', actor: 'bench', now: new Date(), source });
  for (let n = 0; n < rules; n += 100)
    await Promise.all(
      Array.from({ length: Math.min(100, rules - n) }, (_, index) => {
        const place = n + index;
        const every = rules / ofType;
        const type = place % every === 0 ? 'git.push' : `custom.type_${place % 19}`;
        const definition = {
          ...definitionOf(benchRule(Math.floor(place / every)), type),
          actions: [{ type: 'create_issue', with: { title: 'look at ${{ data.branch }}' } }],
        };
        const data = { ruleId: `rul_${place}`, version: 1, enabled: true, definition };
        return append(streams.rule(`rul_${place}`), draft('rule.created', data, 'millrace'));
      }),
    );
  for (let n = 0; n < events; n += 200)
    await Promise.all(
      Array.from({ length: Math.min(200, events - n) }, (_, index) =>
        append(`push-${n + index}`, draft('git.push', benchData(n + index), 'github')),
      ),
    );
  const head = await store.head();
  const workers = await Promise.all(Array.from({ length: processes }, () => work(url, head)));
  const check = new DecisionCheck(head);
  for (let after: bigint | undefined; ;) {
    const page = await store.readAll({ limit: 500, ...(after !== undefined && { after }) });
    for (const event of page.events) check.look(event);
    if (page.end) break;
    after = page.position;
  }
  await store.close();
  const result: CheckResult = check.result();
  const active = workers.filter(({ decided }) => decided > 0);
  const began = Math.min(...active.map((worker) => worker.began));
  const ended = Math.max(...active.map((worker) => worker.ended));
  return {
    rules,
    ofType,
    processes,
    events,
    perSecond: (events / (ended - began)) * 1_000,
    shares: workers.map(({ decided }) => decided),
    rssMb: Math.max(...workers.map(({ rssMb }) => rssMb)),
    bytesPerEvent: result.bytes / events,
    bytesPerPair: result.bytes / result.pairs,
    wrong: result.discrepancyCount + (result.events === events ? 0 : Math.abs(events - result.events)),
  };
}

interface WorkerReport {
  readonly began: number;
  readonly ended: number;
  readonly decided: number;
  readonly rssMb: number;
}

async function work(url: string, upTo: bigint): Promise<WorkerReport> {
  const child = spawn(process.execPath, [...TYPESCRIPT, 'test/bench/rules/rules-worker.ts', url, String(upTo)], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(child, 'close');
  return JSON.parse(out) as WorkerReport;
}
