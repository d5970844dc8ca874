import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Projections } from '#libs/event-store/src/subscriber.js';
import { DEFAULT_ORG, ENGINE } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId, PREFIXES } from '#libs/kernel/src/ids.js';
import { outdatedIn } from '#libs/persistence/src/rebuild/rebuild-rows.adapter.js';

import { requestRebuild } from './rebuild-stream.js';

/**
 * Rows that an earlier version of the code made otherwise are rebuilt, while they go on being used. Called at the start of
 * every process that has subscribers: several of them request the same rebuild.
 */
export async function rebuildOutdated(
  { all }: Projections,
  database: Pick<DataSource, 'query'>,
  { store, clock }: { readonly store: EventStore; readonly clock: Clock },
): Promise<void> {
  const outdated = await outdatedIn(database, all);
  for (const { name, made, version } of outdated) {
    const rebuildId = derivedId(PREFIXES.rebuild, 'outdated', name, String(made), String(version));
    const data = { rebuildId, projection: name, mode: 'rebuild' as const };
    try {
      await requestRebuild(store, data, { orgId: DEFAULT_ORG, actor: ENGINE }, clock.now());
    } catch (error) {
      // The next start requests it, unless the rebuild under way has made the rows by then.
      if (!(error instanceof Rejected)) throw error;
    }
  }
}
