import { Inject, Injectable } from '@nestjs/common';

import type { Caller } from '#libs/access/src/caller.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import type { NewRun } from '../first-append.js';
import { recordRun } from '../record-run.js';
import { ShownRuns } from '../shown/shown-runs.adapter.js';

/** Begins a run that a person or program outside asks for. */
@Injectable()
export class BeginRun {
  constructor(
    @Inject(EventStore) readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(ShownRuns) private readonly shown: ShownRuns,
    @Inject(WorkQueue) readonly work: WorkQueue,
    @Inject(LOG) readonly log: Log,
  ) {}

  async begin({ orgId, actor: by }: Caller, run: Omit<NewRun, 'by' | 'retrySchedule'>): Promise<RunDetails> {
    const { retrySchedule } = this.settings;
    const recorded = await recordRun(this, { ...run, retrySchedule, by }, this.clock.now());
    await hasSeen(this.progress, followers.runViews, recorded.position);
    // The same Idempotency-Key again: the run is there, and perhaps further by now.
    if (recorded.repeated) return this.shown.one(orgId, run.runId);
    return this.shown.told(recorded.events);
  }
}
