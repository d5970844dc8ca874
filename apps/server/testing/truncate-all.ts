import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { FollowerStatus } from '#libs/event-store/src/runner/follower-status.js';
import { followers } from '#libs/events/src/followers.js';
import { SystemClock } from '#libs/kernel/src/clock.js';

import { RETAINABLES } from '../src/retainables.js';
import { TruncateLog } from '#libs/audit/src/retention/truncate-log.worker.js';

interface Parts {
  readonly store: EventStore;
  readonly database: DataSource;
  /** Up to where every subscriber has processed the log; default: its end. */
  readonly processed?: bigint;
}

/** One pass of the worker over everything that an organisation has, as a process that starts anew does it. */
export async function truncateAll({ store, database, processed }: Parts, orgId: string): Promise<void> {
  const status = async () => {
    const position = processed ?? (await store.head());
    return [{ kind: 'subscriber', position } as FollowerStatus];
  };
  const worker = new TruncateLog({ store, database, clock: new SystemClock(), retainables: RETAINABLES, status });
  const work = { queue: followers.retain, key: orgId, dueAt: new Date(), payload: { orgId }, position: 0n, claims: 1 };
  for (;;) {
    const { againAfterMs } = await worker.run(work);
    if (againAfterMs! > 1_000) return;
  }
}
