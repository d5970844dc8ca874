import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { type Work, WorkQueue } from '#libs/persistence/src/claims/work.js';

import { type ActionTask, queueOf } from './action-task.js';

/**
 * Turns requests for actions of plug-ins into rows of work, in the transaction of its checkpoint.
 *
 * States of a request: due → (an attempt failed, and another follows) due later → (carried out, or failed for good) no
 * row. Where no process has the plug-in its row stays due, until one has.
 */
@Injectable()
export class ScheduleActions implements Subscriber {
  readonly name = followers.scheduleActions;
  readonly reads = ['action.requested', 'action.completed', 'action.failed'] as const;
  readonly writes = [] as const;

  constructor(
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    /** The last word on each request. */
    const due = new Map<Uuid, Work<ActionTask>>();
    const ended = new Map<Uuid, string>();
    for (const event of events) {
      if (event.is('action.requested')) {
        const work = this.firstAttempt(event);
        if (work) due.set(event.id, work);
      } else if (event.is('action.completed', 'action.failed')) {
        const request = eventUuidOf(event.data.requestId);
        // The stream says who wrote.
        if (request === undefined || event.stream !== streams.action(request)) continue;
        const next = event.is('action.failed') ? nextAttempt(event, request) : undefined;
        if (next) due.set(request, next);
        else {
          due.delete(request);
          ended.set(request, queueOf(event.data.action));
        }
      }
    }
    if (due.size === 0 && ended.size === 0) return;
    const tx = await context.transaction();
    for (const queue of new Set(ended.values()))
      await this.work.remove(
        tx,
        queue,
        [...ended].filter(([, one]) => one === queue).map(([request]) => request),
      );
    await this.work.schedule(tx, [...due.values()]);
  }

  private firstAttempt(event: RecordedEvent<'action.requested'>): Work<ActionTask> | undefined {
    if (!streams.isDecisions(event.stream)) return undefined;
    // Due at once, also where the clock of the log is ahead of ours.
    const dueAt = new Date(Math.min(event.created.getTime(), this.clock.now().getTime()));
    const { id, stream, revision } = event;
    return workOf(event, dueAt, { request: id, stream, revision: String(revision), attempt: 1 });
  }
}

function nextAttempt(event: RecordedEvent<'action.failed'>, request: Uuid): Work<ActionTask> | undefined {
  const { final, nextAttemptAt, attempt, request: place } = event.data;
  if (final || nextAttemptAt === undefined) return undefined;
  return workOf(event, new Date(nextAttemptAt), { request, ...place, attempt: attempt + 1 });
}

const workOf = (
  { data, position }: RecordedEvent<'action.requested' | 'action.failed'>,
  dueAt: Date,
  payload: ActionTask,
): Work<ActionTask> => ({ queue: queueOf(data.action), key: payload.request, dueAt, payload, position });
