import type { EntityManager } from 'typeorm';

import type { Health } from '../webhook/health.js';
import type { Delivery } from './delivery.js';

const COLUMNS = {
  id: 'text',
  rootId: 'text',
  orgId: 'text',
  webhookId: 'text',
  url: 'text',
  kind: 'text',
  eventId: 'text',
  eventType: 'text',
  eventStream: 'text',
  eventRevision: 'bigint',
  ownPayload: 'boolean',
  status: 'text',
  attempts: 'integer',
  responseCode: 'integer',
  latencyMs: 'integer',
  failureClass: 'text',
  retryAfter: 'integer',
  lastAttemptAt: 'timestamptz',
  nextAttemptAt: 'timestamptz',
  redeliveryOf: 'text',
  createdAt: 'timestamptz',
  finishedAt: 'timestamptz',
  position: 'bigint',
} as const satisfies Record<keyof Delivery, string>;

const HEALTH_COLUMNS = {
  webhookId: 'text',
  sendCount: 'bigint',
  failureCount: 'bigint',
  lastSentAt: 'timestamptz',
  consecutiveFailures: 'integer',
  failingSince: 'timestamptz',
} as const satisfies Record<keyof Health, string>;

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Inserts or replaces all rows of a JSON array in one statement. */
function upsert(table: string, columns: Readonly<Record<string, string>>, key: string): string {
  const names = Object.keys(columns);
  return `
    insert into views.${table} (${names.map(snake).join(', ')})
    select ${names.map((name) => `"${name}"`).join(', ')}
      from jsonb_to_recordset($1::jsonb) as given (${names.map((name) => `"${name}" ${columns[name]}`).join(', ')})
    on conflict (${snake(key)}) do update set
      ${names
        .filter((name) => name !== key)
        .map((name) => `${snake(name)} = excluded.${snake(name)}`)
        .join(', ')}`;
}

const SAVE = upsert('deliveries', COLUMNS, 'id');
const SAVE_HEALTH = upsert('webhook_health', HEALTH_COLUMNS, 'webhookId');

/** Columns under the names of {@link Delivery}. */
export const DELIVERY_COLUMNS = Object.keys(COLUMNS)
  .map((name) => `${snake(name)} as "${name}"`)
  .join(', ');

/** A row as the driver gives it: times are dates there. */
export type DeliveryRow = {
  readonly [K in keyof Delivery]: K extends `${string}At` ? Date | Extract<Delivery[K], null> : Delivery[K];
};

const isoOf = (value: Date | null): string | null => value?.toISOString() ?? null;

export const deliveryOf = (row: DeliveryRow): Delivery => ({
  ...row,
  createdAt: row.createdAt.toISOString(),
  lastAttemptAt: isoOf(row.lastAttemptAt),
  nextAttemptAt: isoOf(row.nextAttemptAt),
  finishedAt: isoOf(row.finishedAt),
});

export async function loadDeliveries(tx: EntityManager, ids: readonly string[]): Promise<Map<string, Delivery>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.query<DeliveryRow[]>(
    `select ${DELIVERY_COLUMNS} from views.deliveries where id = any($1::text[])`,
    [ids],
  );
  return new Map(rows.map((row) => [row.id, deliveryOf(row)]));
}

export async function saveDeliveries(tx: EntityManager, rows: readonly Delivery[]): Promise<void> {
  if (rows.length > 0) await tx.query(SAVE, [JSON.stringify(rows)]);
}

export async function loadHealth(tx: EntityManager, webhookIds: readonly string[]): Promise<Map<string, Health>> {
  if (webhookIds.length === 0) return new Map();
  type Row = Omit<Health, 'sendCount' | 'failureCount' | 'lastSentAt' | 'failingSince'> & {
    sendCount: string;
    failureCount: string;
    lastSentAt: Date | null;
    failingSince: Date | null;
  };
  const names = Object.keys(HEALTH_COLUMNS);
  const rows = await tx.query<Row[]>(
    `select ${names.map((name) => `${snake(name)} as "${name}"`).join(', ')}
       from views.webhook_health where webhook_id = any($1::text[])`,
    [webhookIds],
  );
  return new Map(
    rows.map((row) => [
      row.webhookId,
      {
        ...row,
        sendCount: Number(row.sendCount),
        failureCount: Number(row.failureCount),
        lastSentAt: isoOf(row.lastSentAt),
        failingSince: isoOf(row.failingSince),
      },
    ]),
  );
}

export async function saveHealth(tx: EntityManager, rows: readonly Health[]): Promise<void> {
  if (rows.length > 0) await tx.query(SAVE_HEALTH, [JSON.stringify(rows)]);
}

/** The most that one request recovers; the oldest come first, so that asking again goes on from there. */
export const MOST_RECOVERED = 5_000;

/** Messages of a webhook since a time whose newest delivery failed for good, oldest first. */
export async function failedSince(tx: EntityManager, webhookId: string, since: string): Promise<readonly Delivery[]> {
  const rows = await tx.query<DeliveryRow[]>(
    `select * from (
       select distinct on (root_id) ${DELIVERY_COLUMNS} from views.deliveries
        where webhook_id = $1 and created_at >= $2::timestamptz and kind <> 'test'
        order by root_id, position desc
     ) as newest where status = 'failed' order by position limit ${MOST_RECOVERED}`,
    [webhookId, since],
  );
  return rows.map(deliveryOf);
}
