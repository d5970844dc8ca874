import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { type Uuid, uuid5 } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import { noSooner } from '#libs/kernel/src/time/retry-after.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import type { WorkDone } from '#libs/persistence/src/claims/work.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Connection } from '../connections/connection.table.js';
import { attempted } from './attempt.js';
import type { AttemptTask } from './attempt-task.js';

export const TIMEOUT_MS = 30_000;

type RequestType = 'message.requested' | 'issue.requested';

/** A kind of request whose attempts are recorded before and after: revisions 2n and 2n + 1 of one stream. */
export interface RequestKind<R extends RequestType> {
  readonly requested: R;
  readonly queue: string;
  readonly stream: (request: Uuid) => string;
  /** Types of what is recorded. */
  readonly begun: EventType;
  readonly retried: EventType;
  readonly failed: EventType;
  /** In the names of crash points and codes: `message`. */
  readonly word: string;
}

/** What earlier attempts left behind. */
export interface Earlier {
  /** The effect may have been done: the process died, or no answer came. Look before doing it again. */
  readonly mayHaveArrived: boolean;
  /** When the first attempt began. */
  readonly since: Date;
}

/** What an attempt came to. */
export interface Done {
  readonly type: EventType;
  readonly data: object;
}

export interface Prepared {
  readonly connection: Connection | undefined;
  /** Does the effect. @throws StepError */
  act(earlier: Earlier, signal: AbortSignal): Promise<Done>;
}

export interface RecordedAttemptsParts {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Milliseconds before each attempt but the first. */
  readonly retrySchedule: readonly number[];
  readonly log?: Log;
}

/**
 * Makes an attempt whose beginning is appended before the effect, so that after a crash it is known that the effect may have
 * been done. Begin and outcome have one place each in the stream of the request.
 */
export class RecordedAttempts<R extends RequestType> {
  constructor(
    private readonly kind: RequestKind<R>,
    private readonly parts: RecordedAttemptsParts,
  ) {}

  async run(
    task: AttemptTask,
    signal: AbortSignal,
    prepare: (request: RecordedEvent<R>) => Prepared,
  ): Promise<WorkDone> {
    const { clock } = this.parts;
    const { word, begun, retried, failed } = this.kind;
    const first = 2 * (task.attempt - 1);
    const history = await this.parts.store.readStream(this.kind.stream(task.request));
    const outcome = history[first + 1];
    if (outcome) return { position: outcome.position };
    const request = await this.read(task);
    const { connection, act } = prepare(request);
    const record = (place: 0 | 1, { type, data }: Done) => this.append(task, request, connection, place, type, data);
    const earlier: Earlier = {
      mayHaveArrived: history[first] !== undefined || history.some(mayHaveArrived),
      since: new Date(history[0]?.metadata.timestamp ?? clock.now()),
    };
    if (!history[first]) await record(0, { type: begun, data: {} });
    crashPoint(`actions.${word}-begun`);
    const startedAt = clock.now();
    const ending = await attempted((stop) => act(earlier, stop), TIMEOUT_MS, signal);
    crashPoint(`actions.${word}-sent`);
    const latencyMs = Math.max(0, clock.now().getTime() - startedAt.getTime());
    let done: Done;
    if (ending.kind === 'done') {
      const { type, data } = ending.output as Done;
      done = { type, data: { ...data, latencyMs } };
    } else {
      const { error, retryable, retryAfter, bug } = ending;
      if (bug !== undefined)
        (this.parts.log ?? silentLog).error(
          { request: eventIdOf(task.request), provider: connection?.provider, error: bug },
          'a provider failed with an unexpected error',
        );
      const planned = retryable ? this.parts.retrySchedule[task.attempt - 1] : undefined;
      const data = { error: { code: error.code, message: error.message }, latencyMs };
      const nextAttemptAt = () => timeAfter(clock.now(), noSooner(planned!, retryAfter)).toISOString();
      done =
        planned === undefined
          ? { type: failed, data }
          : {
              type: retried,
              data: { ...data, mayHaveArrived: !SURELY_NOT_DONE.test(error.code), nextAttemptAt: nextAttemptAt() },
            };
    }
    const work = await record(1, done);
    crashPoint(`actions.${word}-recorded`);
    return work;
  }

  private async append(
    task: AttemptTask,
    request: RecordedEvent<R>,
    connection: Connection | undefined,
    place: 0 | 1,
    type: EventType,
    data: object,
  ): Promise<WorkDone> {
    const { requestedBy, eventId } = request.data;
    const about = {
      requestId: eventIdOf(request.id),
      request: { stream: task.stream, revision: task.revision },
      requestedBy,
      eventId,
      attempt: task.attempt,
      ...(connection && { integrationId: connection.id }),
    };
    const { orgId, actor, subject } = request.metadata;
    const event = newEvent(
      { type, data: { ...about, ...data } },
      {
        id: uuid5(this.kind.queue, task.request, String(task.attempt), String(place)),
        orgId,
        actor,
        now: this.parts.clock.now(),
        cause: causedBy(request),
        subject: connection ? `integration/${connection.id}` : subject,
      },
    );
    const before = 2 * (task.attempt - 1) + place - 1;
    const stream = this.kind.stream(task.request);
    const { position } = await appendOnce(this.parts.store, stream, [event], before < 0 ? 'no-stream' : BigInt(before));
    return { position };
  }

  private async read({ request, stream, revision }: AttemptTask): Promise<RecordedEvent<R>> {
    const event = await readAt(this.parts.store, stream, revision);
    if (event?.id === request && event.is(this.kind.requested)) return event;
    throw new Error(`The request ${eventIdOf(request)} is no longer in the log.`);
  }
}

/** Codes after which the effect has surely not been done: nothing was sent, or the service said no. */
const SURELY_NOT_DONE =
  /^(?:dns|tls|refused_address|http\.4\d\d|(?:message|tracker|slack|botframework|github|gitlab)\..+)$/;

const mayHaveArrived = ({ data }: RecordedEvent): boolean =>
  (data as { readonly mayHaveArrived?: unknown }).mayHaveArrived === true;

export const refusal = (code: string, message: string): StepError =>
  new StepError({ code, message, type: 'configuration', retryable: false });
