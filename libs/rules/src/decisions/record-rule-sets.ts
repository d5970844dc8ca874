import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';

import type { FormedSet } from '../engine/rule-set.js';

/** Names that are known to be in the log; beyond that they are looked for again. */
const MAX_KNOWN = 50_000;
const CONCURRENT_APPENDS = 32;

/** Sees to it that every set is in the log before a verdict refers to it. */
export class RuleSets {
  private readonly known = new BoundedMap<string, true>(MAX_KNOWN);

  constructor(private readonly store: EventStore) {}

  async ensure(orgId: string, sets: Iterable<FormedSet>, now: Date): Promise<void> {
    const missing = new Map<string, FormedSet>();
    for (const set of sets) if (!this.known.has(set.name)) missing.set(set.name, set);
    if (missing.size === 0) return;
    await inParallel([...missing.values()], CONCURRENT_APPENDS, async ({ name, rules }) => {
      const draft = {
        type: 'rule.set_formed' as const,
        data: { set: name, rules: rules.map(([id, v]): [string, number] => [id, v]) },
      };
      const id = uuid5('rule-set', orgId, name);
      await appendOnce(this.store, streams.ruleSet(name), [newEvent(draft, { id, orgId, actor: ENGINE, now })]);
      this.known.set(name, true);
    });
  }
}
