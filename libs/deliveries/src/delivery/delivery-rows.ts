import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { loadRows, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import type { Health } from '../webhook/health.js';
import { WebhookHealthView } from '../webhook/webhook.view.js';
import type { Delivery } from './delivery.js';
import { DeliveryView } from './delivery.view.js';

export async function loadDeliveries(tx: ViewTransaction, ids: readonly string[]): Promise<Map<string, Delivery>> {
  const rows = await loadRows(
    tx,
    DeliveryView,
    ids.map((id) => ({ id })),
  );
  return new Map(rows.map((row) => [row.id, row]));
}

export const saveDeliveries = (tx: ViewTransaction, rows: readonly Delivery[]): Promise<void> =>
  upsertRows(tx, DeliveryView, rows);

export async function loadHealth(tx: ViewTransaction, webhookIds: readonly string[]): Promise<Map<string, Health>> {
  const rows = await loadRows(
    tx,
    WebhookHealthView,
    webhookIds.map((webhookId) => ({ webhookId })),
  );
  return new Map(
    rows.map((row) => [
      row.webhookId,
      { ...row, sendCount: Number(row.sendCount), failureCount: Number(row.failureCount) },
    ]),
  );
}

export const saveHealth = (tx: ViewTransaction, rows: readonly Health[]): Promise<void> =>
  upsertRows(tx, WebhookHealthView, rows);

/** The most that one request recovers; the oldest come first, so that asking again goes on from there. */
export const MOST_RECOVERED = 5_000;

/** Messages of a webhook since a time whose newest delivery failed permanently, oldest first. */
export async function failedSince(tx: ViewTransaction, webhookId: string, since: string): Promise<readonly Delivery[]> {
  const found = await tx.query<{ id: string }[]>(
    `select id from (
       select distinct on (root_id) id, status, position from views.deliveries
        where webhook_id = $1 and created_at >= $2::timestamptz and kind <> 'test'
        order by root_id, position desc
     ) as newest where status = 'failed' order by position limit ${MOST_RECOVERED}`,
    [webhookId, since],
  );
  const ids = found.map(({ id }) => id);
  const rows = await loadDeliveries(tx, ids);
  return ids.map((id) => rows.get(id)!);
}
