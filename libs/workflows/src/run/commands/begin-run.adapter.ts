import { Inject, Injectable } from '@nestjs/common';

import type { Caller } from '#libs/access/src/caller.js';
import { appendOnce, asRecorded } from '#libs/event-store/src/append-once.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { firstAppend, type NewRun } from '../first-append.js';
import { logFailures } from '../log-failures.js';
import { ShownRuns } from '../shown/shown-runs.adapter.js';

/** Begins a run that a person or program outside asks for. */
@Injectable()
export class BeginRun {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(ShownRuns) private readonly shown: ShownRuns,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async begin({ orgId, actor: by }: Caller, run: Omit<NewRun, 'by' | 'retrySchedule'>): Promise<RunDetails> {
    const stream = streams.run(run.runId);
    const now = this.clock.now();
    const { retrySchedule } = this.settings;
    const events = firstAppend({ ...run, retrySchedule, by }, now);
    const appended = await appendOnce(this.store, stream, events);
    if (!appended.repeated) logFailures(this.log, events);
    await hasSeen(this.progress, followers.runViews, appended.position);
    // The same Idempotency-Key again: the run is there, and perhaps further by now.
    if (appended.repeated) return this.shown.one(orgId, run.runId);
    return this.shown.told(asRecorded(stream, events, appended, now));
  }
}
