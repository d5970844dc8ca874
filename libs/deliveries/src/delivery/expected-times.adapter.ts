import type { EntityManager } from 'typeorm';

import type { WebhookRate } from '#libs/events/src/shapes/webhook-shape.js';

import { expectedAt } from '../webhook/rate-limit.js';
import type { WebhookTable } from '../webhook/webhook.table.js';
import type { DeliveryView } from './delivery.view.js';
import { millisecondsOf, ORDER } from './paced-attempts.adapter.js';

type Database = Pick<EntityManager, 'query'>;

interface WaitingRow {
  readonly delivery_id: string;
  readonly webhook_id: string;
  readonly due_at: Date;
  /** Among those that wait for the same webhook, from 1. */
  readonly rank: number;
}

/** When those of these deliveries that wait for the rate of their webhook will be sent, as far as can be told. */
export async function expectedTimes(
  database: Database,
  webhooks: Pick<WebhookTable, 'get'>,
  deliveries: readonly Pick<DeliveryView, 'id' | 'webhookId' | 'status'>[],
): Promise<ReadonlyMap<string, Date>> {
  const rates = new Map<string, WebhookRate>();
  for (const { webhookId, status } of deliveries) {
    const rate = status === 'pending' && webhookId !== null ? webhooks.get(webhookId)?.settings.rateLimit : undefined;
    if (rate) rates.set(webhookId!, rate);
  }
  if (rates.size === 0) return new Map();
  const webhookIds = [...rates.keys()];
  const waiting = await database.query<WaitingRow[]>(
    `select * from (
       select delivery_id, webhook_id, due_at, row_number() over (partition by webhook_id order by ${ORDER})::int as rank
         from views.paced_attempts where webhook_id = any ($1::text[]) and not released) ranked
      where delivery_id = any ($2::text[])`,
    [webhookIds, deliveries.map(({ id }) => id)],
  );
  if (waiting.length === 0) return new Map();
  const places = await placesOf(database, webhookIds);
  return new Map(
    waiting.map(({ delivery_id, webhook_id, due_at, rank }) => {
      const { settled, now } = places.get(webhook_id)!;
      const time = expectedAt(rates.get(webhook_id)!, settled, rank, now);
      return [delivery_id, new Date(Math.max(due_at.getTime(), time))];
    }),
  );
}

interface Places {
  readonly settled: readonly (number | undefined)[];
  readonly now: number;
}

async function placesOf(database: Database, webhookIds: readonly string[]): Promise<ReadonlyMap<string, Places>> {
  const rows = await database.query<{ id: string; settled: (number | null)[]; now: number }[]>(
    `select w.id, ${millisecondsOf('clock_timestamp()')} as now,
            array(select ${millisecondsOf('p.settled_at')} from views.paced_attempts p
                   where p.webhook_id = w.id and p.released order by p.settled_at nulls last) as settled
       from unnest($1::text[]) as w (id)`,
    [webhookIds],
  );
  return new Map(rows.map(({ id, settled, now }) => [id, { settled: settled.map((time) => time ?? undefined), now }]));
}

/** For metrics. */
export async function countPaced(database: Database): Promise<number> {
  const [row] = await database.query<{ count: number }[]>(
    'select count(*)::int as count from views.paced_attempts where not released',
  );
  return row!.count;
}
