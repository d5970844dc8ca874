import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { SubscriberContext, Table } from '#libs/event-store/src/subscriber.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import type { Health } from '../webhook/health.js';
import type { Delivery } from './delivery.js';
import { loadDeliveries, loadHealth } from './delivery-rows.js';
import { deliveriesNamedBy } from './schedule.js';

const MAX_DELIVERIES = 5_000;
const MAX_WEBHOOKS = 10_000;

/**
 * Rows of open deliveries, and the health of their webhooks, as the active instance wrote them last: nobody else writes them,
 * so that the outcome of an attempt need not be preceded by a question. A table because it is cleared like one: whenever
 * another process may have been active, or a batch may not have been committed. Only a saving; what is not here is asked for.
 */
export class KeptRows implements Table {
  readonly name = 'deliveries.kept-rows';
  readonly reads = [];
  private readonly deliveries = new BoundedMap<string, Delivery>(MAX_DELIVERIES);
  private readonly health = new BoundedMap<string, Health>(MAX_WEBHOOKS);

  clear(): void {
    this.deliveries.clear();
    this.health.clear();
  }

  apply(): void {}

  /** The rows that events name, and the health of their webhooks. */
  async of(
    events: readonly RecordedEvent[],
    context: SubscriberContext,
  ): Promise<{ readonly rows: ReadonlyMap<string, Delivery>; readonly health: ReadonlyMap<string, Health> }> {
    const ids = events.flatMap((event) => deliveriesNamedBy(event) ?? []);
    const rows = await found(ids, this.deliveries, async (missing) =>
      loadDeliveries(await context.transaction(), missing),
    );
    const webhookIds = new Set([...rows.values()].flatMap(({ webhookId }) => webhookId ?? []));
    const health = await found([...webhookIds], this.health, async (missing) =>
      loadHealth(await context.transaction(), missing),
    );
    return { rows, health };
  }

  /** What the transaction of the batch writes. */
  keep(rows: Iterable<Delivery>): void {
    for (const row of rows)
      if (row.status === 'pending') this.deliveries.set(row.id, row);
      else this.deliveries.delete(row.id);
  }

  keepHealth(all: Iterable<Health>): void {
    for (const one of all) this.health.set(one.webhookId, one);
  }
}

async function found<T>(
  ids: readonly string[],
  kept: ReadonlyMap<string, T>,
  load: (missing: readonly string[]) => Promise<ReadonlyMap<string, T>>,
): Promise<ReadonlyMap<string, T>> {
  const rows = new Map<string, T>();
  const missing: string[] = [];
  for (const id of ids) {
    const row = kept.get(id);
    if (row === undefined) missing.push(id);
    else rows.set(id, row);
  }
  if (missing.length > 0) for (const [id, row] of await load(missing)) rows.set(id, row);
  return rows;
}
