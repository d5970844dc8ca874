import type { EventStore } from '#libs/event-store/src/event-store.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { CorrelationBudget } from '../src/correlation-budget.js';

/** A budget that counts in the log itself, in place of the index; by default one that no spec uses up. */
export function openBudget(store: EventStore, limit = 1_000_000): CorrelationBudget {
  const counts = new Map<Uuid, number>();
  let after: bigint | undefined;
  const countStory = async (correlation: Uuid, most: number): Promise<number> => {
    for (let end = false; !end;) {
      const page = await store.readAll({ limit: 1_000, ...(after !== undefined && { after }) });
      for (const { metadata } of page.events)
        counts.set(metadata.$correlationId, (counts.get(metadata.$correlationId) ?? 0) + 1);
      after = page.position;
      end = page.end;
    }
    return Math.min(counts.get(correlation) ?? 0, most);
  };
  return new CorrelationBudget({ store, clock: new FixedClock(), limit, countStory });
}
