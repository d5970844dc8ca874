import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { EntityManager } from 'typeorm';

import { DeliveryView } from '#libs/deliveries/src/delivery/delivery.view.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { EmbeddedPostgres } from '#libs/persistence/src/embedded/embedded-postgres.adapter.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';
import { DecisionView } from '#libs/rules/src/decisions/decision.view.js';

import { median } from './benchmark.js';

/**
 * `upsertRows` against statements written by hand, each in a transaction of its own: what a batch costs, and the ratio.
 * Deliveries by hand are one JSON text, decisions an array for each column.
 *
 *   node test/tool.mjs test/bench/rows.ts
 */
type Save<Row> = (tx: EntityManager, rows: readonly Row[]) => Promise<unknown>;

const at = '2026-11-20T12:00:00.000Z';
let made = 0;
const delivery = (): RowOf<DeliveryView> => ({
  id: `del_${++made}`,
  rootId: `del_${made}`,
  orgId: 'org_01jq5x1d0wkz4s3v2n8m7b6c5a',
  webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a',
  url: null,
  kind: 'subscription',
  eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a',
  eventType: 'git.push',
  eventStream: streams.published('org_1', uuid7()),
  eventRevision: '0',
  ownPayload: false,
  secrets: null,
  status: 'pending',
  attempts: 0,
  responseCode: null,
  latencyMs: null,
  failureClass: null,
  retryAfter: null,
  lastAttemptAt: null,
  nextAttemptAt: at,
  redeliveryOf: null,
  createdAt: at,
  finishedAt: null,
  position: String(made),
});
const decision = (): RowOf<DecisionView> => ({
  eventId: `evt_${++made}`,
  ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a',
  orgId: 'org_01jq5x1d0wkz4s3v2n8m7b6c5a',
  position: String(made),
  ordinal: 0,
  eventType: 'git.push',
  ruleName: 'tell the team of every push',
  ruleVersion: 1,
  outcome: 'matched',
  failed: null,
  error: null,
  actions: [{ type: 'send_webhook', status: 'requested' }] as never,
  at,
});

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const TYPES: Readonly<Record<string, string>> = {
  eventRevision: 'bigint',
  position: 'bigint',
  ownPayload: 'boolean',
  attempts: 'int',
  responseCode: 'int',
  latencyMs: 'int',
  retryAfter: 'int',
  ordinal: 'int',
  ruleVersion: 'int',
  failed: 'json',
  actions: 'json',
  at: 'timestamptz',
  lastAttemptAt: 'timestamptz',
  nextAttemptAt: 'timestamptz',
  createdAt: 'timestamptz',
  finishedAt: 'timestamptz',
};
const columns = Object.keys(delivery());
const given = columns.map((name) => `"${name}" ${TYPES[name] ?? 'text'}`).join(', ');
const DELIVERIES = `
  insert into views.deliveries (${columns.map(snake).join(', ')})
  select ${columns.map((name) => `"${name}"`).join(', ')} from jsonb_to_recordset($1::jsonb) as given (${given})
  on conflict (id) do update set ${columns.map((name) => `${snake(name)} = excluded.${snake(name)}`).join(', ')}`;
const byHand: Save<RowOf<DeliveryView>> = (tx, rows) => tx.query(DELIVERIES, [JSON.stringify(rows)]);

const fields = Object.keys(decision()) as (keyof DecisionView)[];
const DECISIONS = `
  insert into views.decisions (${fields.map(snake).join(', ')})
  select * from unnest(${fields.map((name, index) => `$${index + 1}::${TYPES[name] ?? 'text'}[]`).join(', ')})
  on conflict do nothing`;
const inArrays: Save<RowOf<DecisionView>> = (tx, rows) =>
  tx.query(
    DECISIONS,
    fields.map((name) => rows.map((row) => (name === 'actions' ? JSON.stringify(row[name]) : row[name]))),
  );

const folder = await mkdtemp(join(tmpdir(), 'millrace-rows-'));
const server = await EmbeddedPostgres.start({ folder: join(folder, 'postgres'), durable: true });
const database = await openDataSource({ url: server.urlOf('postgres') });

async function timed<Row>(make: () => Row, size: number, save: Save<Row>): Promise<{ wall: number; cpu: number }> {
  const rows = Array.from({ length: size }, make);
  const before = process.cpuUsage();
  const began = performance.now();
  await database.transaction((tx) => save(tx, rows));
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { wall, cpu: (user + system) / 1000 };
}

async function compare<Row>(name: string, make: () => Row, hand: Save<Row>, generic: Save<Row>): Promise<void> {
  for (const size of [1, 10, 100, 500]) {
    const rounds: { readonly hand: number; readonly generic: number; readonly cpu: number }[] = [];
    for (let round = 0; round < Math.max(40, 4_000 / size); round++) {
      const one = await timed(make, size, hand);
      const other = await timed(make, size, generic);
      rounds.push({ hand: one.wall, generic: other.wall, cpu: other.cpu / one.cpu });
    }
    const middle = (key: 'hand' | 'generic' | 'cpu'): number => median(rounds.slice(5).map((round) => round[key]));
    const [written, made, cpu] = [middle('hand'), middle('generic'), middle('cpu')];
    console.log(
      `${name.padEnd(10)} ${String(size).padStart(4)} rows  by hand ${written.toFixed(2)} ms  upsertRows ${made.toFixed(2)} ms` +
        `  ratio ${(made / written).toFixed(2)}  processor of the server ${cpu.toFixed(2)}`,
    );
  }
}

try {
  await compare('deliveries', delivery, byHand, (tx, rows) => upsertRows(tx, DeliveryView, rows));
  await compare('decisions', decision, inArrays, (tx, rows) =>
    upsertRows(tx, DecisionView, rows, { onConflict: 'nothing' }),
  );
} finally {
  await database.destroy();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
