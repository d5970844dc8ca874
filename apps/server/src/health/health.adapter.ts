import type { DataSource } from 'typeorm';

import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { FollowerStatus } from '#libs/event-store/src/runner/follower-status.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { blockedRuns } from '#libs/workflows/src/run/shown/blocked-runs.adapter.js';

import { type Failure, type Readiness, readinessOf } from './readiness.js';

const PATIENCE_MS = 2_000;
/** More frequent requests get the answer of a moment ago: asking must not be a load of its own. */
const FRESH_MS = 200;

const WORKER_MS = 15_000;
const NO_WORKER =
  'no worker follows the log: rules, workflows and deliveries wait. Start a process with MILLRACE_ROLES=worker';

/** Asks the parts of the server how they are. Its own injection token. */
export class Health {
  private known: readonly FollowerStatus[] = [];
  private unfollowedSince: number | undefined;
  private latest: { readonly at: number; readonly answer: Promise<Readiness> } | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly database: DataSource,
    private readonly followers: () => Promise<readonly FollowerStatus[]>,
    /** Given where this process is no worker: whether any other is. */
    private readonly isFollowed?: () => Promise<boolean>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  readiness(): Promise<Readiness> {
    const now = this.now();
    if (!this.latest || now - this.latest.at > FRESH_MS) this.latest = { at: now, answer: this.ask() };
    return this.latest.answer;
  }

  /** Runs of an organisation that wait to be resumed by hand; none where the database does not answer. */
  blockedRuns(orgId: string): Promise<readonly string[]> {
    return blockedRuns(this.database, orgId).catch(() => []);
  }

  private async ask(): Promise<Readiness> {
    const failures = await Promise.all([
      failureOf('the log does not answer', () => this.store.ping()),
      failureOf('the database does not answer', () => this.database.query('select 1')),
      failureOf('the state of the subscribers is unknown', async () => (this.known = await this.followers())),
    ]);
    const found = failures.filter((failure) => failure !== undefined);
    const unfollowed = await this.unfollowed();
    if (unfollowed && unfollowed.forMs > WORKER_MS) found.push({ what: NO_WORKER, detail: NO_WORKER });
    return { ...readinessOf(this.known, found), ...(unfollowed && { warnings: [NO_WORKER] }) };
  }

  /** While a worker restarts the other processes continue: what they store is handled afterwards. */
  private async unfollowed(): Promise<{ readonly forMs: number } | undefined> {
    const isFollowed = (await this.isFollowed?.().catch(() => true)) ?? true;
    if (isFollowed) return (this.unfollowedSince = undefined);
    this.unfollowedSince ??= this.now();
    return { forMs: this.now() - this.unfollowedSince };
  }
}

/** A connection that was cut silently neither answers nor fails, so no answer in time is a failure. */
async function failureOf(what: string, ask: () => Promise<unknown>): Promise<Failure | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Failure>((resolve) => {
    timer = setTimeout(() => resolve({ what, detail: `${what} within ${PATIENCE_MS / 1000} s` }), PATIENCE_MS);
  });
  try {
    return await Promise.race([
      ask().then(
        () => undefined,
        (error: unknown) => ({ what, detail: `${what}: ${messageOf(error)}` }),
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
