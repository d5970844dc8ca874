import type { Backoff } from '#libs/kernel/src/time/backoff.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { EventStore } from '../event-store.js';
import type { Checkpoints } from './checkpoints.js';
import type { Quarantine } from './quarantine.table.js';

/** What every follower of one process shares. */
export interface FollowerParts {
  readonly store: EventStore;
  readonly checkpoints: Checkpoints;
  readonly clock: Clock;
  readonly log: Log;
  /** Events to pass over. */
  readonly quarantine: Quarantine;
  /** How long what failed waits before the next try. */
  readonly retries: Backoff;
  /** How often a subscriber that gathers begins a batch at most. */
  readonly gatherMs: number;
}
