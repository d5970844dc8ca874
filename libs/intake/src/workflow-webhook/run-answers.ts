import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { eventUuidOf, runIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { Receiver } from '../integration/integration.table.js';
import type { AwaitingWorkflows } from './awaiting-workflows.js';
import { EndedRuns } from './ended-runs.js';

/** What the answer says about the run that the request started. */
export interface RunAnswer {
  readonly runId: string;
  readonly url: string;
  /** Absent: the run has not ended, or is not known to have. */
  readonly status?: 'completed' | 'failed' | 'cancelled' | 'skipped';
  readonly outputs?: Readonly<Record<string, unknown>>;
  /** The code alone: the message is for the people here. */
  readonly error?: { readonly code: string };
}

export interface RunAnswersParts {
  readonly store: EventStore;
  readonly progress: Progress;
  readonly awaiting: AwaitingWorkflows;
  readonly publicUrl: string;
  readonly log: Log;
  /** The longest wait in milliseconds. */
  readonly limitMs?: number;
}

const LIMIT_MS = 25_000;
/** Most answers that wait in this process, and of one integration: others name the run at once. */
export const MOST_WAITING = 100;
export const MOST_WAITING_OF_ONE = 20;
/** Events after the one with the outcome, generously. */
const LAST_EVENTS = 20;

/**
 * Lets the answer to a request wait for the run that it starts. The run's id follows from workflow and event, and its end is
 * in the log: it makes no difference which process runs it.
 */
export class RunAnswers {
  private readonly ended: EndedRuns;
  private readonly waiting = new Map<string, number>();
  private total = 0;

  constructor(private readonly parts: RunAnswersParts) {
    this.ended = new EndedRuns(parts.store);
  }

  /** Whether a run answers requests to an integration. */
  mayAnswer(receiver: Receiver): boolean {
    return this.parts.awaiting.workflowFor(receiver) !== undefined;
  }

  /**
   * At once `undefined` where no run answers. Never rejects: the request is stored.
   * @param gone the sender has closed the connection.
   */
  of(receiver: Receiver, eventIds: readonly string[], gone: AbortSignal): Promise<RunAnswer | undefined> | undefined {
    const { awaiting, publicUrl } = this.parts;
    const workflowId = awaiting.workflowFor(receiver);
    // Several events start several runs: none of them is the answer.
    const [eventId, ...more] = eventIds;
    if (workflowId === undefined || eventId === undefined || more.length > 0) return undefined;
    const runId = runIdOf(workflowId, eventUuidOf(eventId)!);
    const pending: RunAnswer = { runId, url: `${publicUrl}/api/v1/runs/${runId}` };
    const ofOne = this.waiting.get(receiver.id) ?? 0;
    if (this.total >= MOST_WAITING || ofOne >= MOST_WAITING_OF_ONE) return Promise.resolve(pending);
    this.total += 1;
    this.waiting.set(receiver.id, ofOne + 1);
    return this.wait(pending, gone)
      .catch((error: unknown) => {
        this.parts.log.warn({ runId, error: messageOf(error) }, 'an answer cannot wait for its run now');
        return pending;
      })
      .finally(() => this.leave(receiver.id));
  }

  private async wait(pending: RunAnswer, gone: AbortSignal): Promise<RunAnswer | undefined> {
    const { store, progress, limitMs = LIMIT_MS } = this.parts;
    const { runId } = pending;
    const signal = AbortSignal.any([gone, AbortSignal.timeout(limitMs)]);
    const head = await store.head();
    const watch = this.ended.watch(runId, head);
    try {
      const begun = progress.whenProcessed(followers.startRuns, head, limitMs).then(
        () => true,
        () => false,
      );
      if (!(await orAborted(begun, signal))) return pending;
      for (;;) {
        const news = watch.next();
        const [first] = await store.readStream(streams.run(runId), { limit: 1 });
        // The event does not fit, or may not start a run: `decisions` of the event say why.
        if (!first?.is('workflow.started')) return undefined;
        const last = await store.readStream(streams.run(runId), { direction: 'backwards', limit: LAST_EVENTS });
        const outcome = outcomeIn(last);
        if (outcome) return { ...pending, ...outcome };
        if (!(await orAborted(news, signal))) return pending;
      }
    } finally {
      watch.leave();
    }
  }

  private leave(integrationId: string): void {
    this.total -= 1;
    const left = (this.waiting.get(integrationId) ?? 1) - 1;
    if (left === 0) this.waiting.delete(integrationId);
    else this.waiting.set(integrationId, left);
  }
}

/** @param newestFirst the last events of a run. A run that was retried has not ended. */
function outcomeIn(newestFirst: readonly RecordedEvent[]): Omit<RunAnswer, 'runId' | 'url'> | undefined {
  for (const event of newestFirst) {
    if (event.is('run.retried')) return undefined;
    if (event.is('workflow.completed')) return { status: 'completed', outputs: event.data.outputs };
    if (event.is('workflow.failed')) return { status: 'failed', error: { code: event.data.error.code } };
    if (event.is('run.cancelled')) return { status: 'cancelled' };
    if (event.is('workflow.skipped')) return { status: 'skipped' };
  }
  return undefined;
}

/** What is given, or `false` once the signal aborts. */
function orAborted(given: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve(false);
    signal.addEventListener('abort', abort, { once: true });
    given.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
