import { Inject, Injectable } from '@nestjs/common';

import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { type Work, WorkQueue } from '#libs/persistence/src/claims/work.js';

import { type AttemptTask, MESSAGES, queueOf, TRACKERS } from './attempt-task.js';
import { withdraw } from './withdraw.js';

const REQUESTS = ['action.requested', 'message.requested', 'issue.requested'] as const;
const OUTCOMES = [
  'action.completed',
  'action.failed',
  'message.attempt_failed',
  'message.sent',
  'message.failed',
  'tracker.attempt_failed',
  'tracker.issue_opened',
  'tracker.issue_commented',
  'tracker.failed',
] as const;
const CONCURRENT = 16;
type Requested = RecordedEvent<(typeof REQUESTS)[number]>;
type Outcome = RecordedEvent<(typeof OUTCOMES)[number]>;

/** The last word on a request: its next attempt, or none. */
interface Change {
  readonly queue: string;
  readonly next: Work<AttemptTask> | undefined;
}

/**
 * Turns requests for actions of plug-ins, messages and issues in trackers outside into rows of work, in the transaction of its checkpoint.
 *
 * States of a request: due → (an attempt failed, and another follows) due later → (carried out, failed permanently, or withdrawn
 * before an attempt began) no row. Where no process has the plug-in its row stays due, until one has.
 */
@Injectable()
export class ScheduleActions implements Subscriber {
  readonly name = followers.scheduleActions;
  readonly reads = [...REQUESTS, ...OUTCOMES, 'run.request_withdrawn'] as const;
  readonly writes = ['message.failed', 'tracker.failed'] as const;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const changes = new Map<Uuid, Change>();
    for (const event of events) {
      if (event.is(...REQUESTS)) {
        const next = this.firstAttempt(event);
        if (next) changes.set(event.id, { queue: next.queue, next });
      } else if (event.is(...OUTCOMES)) {
        const request = eventUuidOf(event.data.requestId);
        // The stream says who wrote.
        if (request !== undefined && event.stream === streamOfOutcome(event, request))
          changes.set(request, { queue: queueFor(event), next: nextAttempt(event, request) });
      }
    }
    const withdrawn = events.flatMap((event) => (event.is('run.request_withdrawn') ? [event] : []));
    await inParallel(withdrawn, CONCURRENT, async (event) => {
      const request = await withdraw(this.store, event, this.clock.now());
      if (request) changes.set(request.id, { queue: queueFor(request), next: undefined });
    });
    if (changes.size === 0) return;
    const tx = await context.transaction();
    const ended = [...changes].filter(([, { next }]) => next === undefined);
    for (const queue of new Set(ended.map(([, change]) => change.queue)))
      await this.work.remove(
        tx,
        queue,
        ended.filter(([, change]) => change.queue === queue).map(([request]) => request),
      );
    await this.work.schedule(
      tx,
      [...changes.values()].flatMap(({ next }) => next ?? []),
    );
  }

  private firstAttempt(event: Requested): Work<AttemptTask> | undefined {
    const { isDecisions, isRun, isExecution, isMessageRequest } = streams;
    const askers = event.is('action.requested') ? [isDecisions] : [isDecisions, isRun, isExecution];
    if (event.is('message.requested')) askers.push(isMessageRequest);
    if (!askers.some((isOf) => isOf(event.stream))) return undefined;
    if (event.is('issue.requested') && (event.data.tracker ?? BUILT_IN) === BUILT_IN) return undefined;
    // Due at once, also where the clock of the log is ahead of ours.
    const dueAt = new Date(Math.min(event.created.getTime(), this.clock.now().getTime()));
    const { id, stream, revision } = event;
    return workOf(event, dueAt, { request: id, stream, revision: String(revision), attempt: 1 });
  }
}

/** The tracker that another stage is. */
const BUILT_IN = 'builtin';

function queueFor(event: Requested | Outcome): string {
  if (event.is('action.requested', 'action.completed', 'action.failed')) return queueOf(event.data.action);
  return event.type.startsWith('message.') ? MESSAGES : TRACKERS;
}

function streamOfOutcome(event: Outcome, request: Uuid): string {
  if (event.is('action.completed', 'action.failed')) return streams.action(request);
  return event.type.startsWith('message.') ? streams.message(request) : streams.tracked(request);
}

function nextAttempt(event: Outcome, request: Uuid): Work<AttemptTask> | undefined {
  if (!event.is('action.failed', 'message.attempt_failed', 'tracker.attempt_failed')) return undefined;
  const { nextAttemptAt, attempt, request: place } = event.data;
  if (nextAttemptAt === undefined || (event.is('action.failed') && event.data.final)) return undefined;
  return workOf(event, new Date(nextAttemptAt), { request, ...place, attempt: attempt + 1 });
}

const workOf = (event: Requested | Outcome, dueAt: Date, payload: AttemptTask): Work<AttemptTask> => ({
  queue: queueFor(event),
  key: payload.request,
  dueAt,
  payload,
  position: event.position,
});
