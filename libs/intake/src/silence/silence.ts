import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

/** The subscriber that watches, and the queue of what it expects. */
export const SILENCES = followers.watchSilence;

/** What is to be told if nothing comes in before the row is due. */
export interface SilenceTask {
  readonly integrationId: string;
  readonly orgId: string;
  readonly name: string;
  readonly expectedEvery: string;
  /** RFC 3339; null: never since it is watched. */
  readonly lastReceivedAt: string | null;
  /** Events in the stream of its silences so far. */
  readonly episodes: number;
}

export interface TellSilenceParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Position at which the row of an integration was last moved; `undefined` if it is not watched any more. */
  readonly movedAt: (integrationId: string) => Promise<bigint | undefined>;
}

/** Tells that an integration has been silent for longer than it says. */
export class TellSilence implements Worker<SilenceTask> {
  readonly queue = SILENCES;
  readonly concurrency = 16;
  readonly writes = ['integration.silent'] as const;

  constructor(private readonly parts: TellSilenceParts) {}

  async run(work: ClaimedWork<SilenceTask>): Promise<WorkDone> {
    const { store, clock, progress, movedAt } = this.parts;
    const task = work.payload;
    // What came in before now may not have been noticed yet, after a restart above all: that would be a false alarm.
    await progress.whenProcessed(SILENCES, await store.head());
    const moved = await movedAt(task.integrationId);
    if (moved === undefined || moved > work.position) return { position: moved ?? work.position };
    const { integrationId, orgId, name, expectedEvery, lastReceivedAt, episodes } = task;
    const stream = streams.watch(integrationId);
    const data = { integrationId, name, expectedEvery, ...(lastReceivedAt !== null && { lastReceivedAt }) };
    const event = newEvent(
      { type: 'integration.silent', data },
      {
        id: uuid5(SILENCES, integrationId, String(episodes)),
        orgId,
        actor: ENGINE,
        now: clock.now(),
        subject: `integration/${integrationId}`,
      },
    );
    crashPoint('intake.before-alarm');
    const { position } = await appendOnce(store, stream, [event], episodes === 0 ? 'no-stream' : BigInt(episodes - 1));
    crashPoint('intake.after-alarm');
    return { position };
  }
}
