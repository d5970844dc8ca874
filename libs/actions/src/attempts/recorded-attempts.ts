import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { AppendResult, EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt, readLast } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { type Uuid, uuid5 } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import { masker } from '#libs/kernel/src/text/masking.js';
import { noSooner } from '#libs/kernel/src/time/retry-after.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import type { ClaimedWork, WorkDone } from '#libs/persistence/src/claims/work.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import type { StepHttp } from '#libs/plugin-sdk/src/define-step.js';
import type { SendContext } from '#libs/plugin-sdk/src/services/define-messenger.js';
import { SUBJECT_ERASED } from '#libs/events/src/personal/field-path.js';
import { misconfigured } from '#libs/plugin-sdk/src/services/define-tracker.js';

import type { Connection, ConnectionTable } from '../connections/connection.table.js';
import { attempted } from './attempt.js';
import type { AttemptTask } from './attempt-task.js';

const TIMEOUT_MS = 30_000;

type RequestType = 'message.requested' | 'issue.requested';

/** A kind of request whose attempts are recorded before and after: revisions 2n and 2n + 1 of one stream. */
export interface RequestKind<R extends RequestType> {
  readonly requested: R;
  /** Id or name of the integration through which it is done. */
  readonly integration: (request: RecordedEvent<R>) => string;
  readonly queue: string;
  readonly stream: (request: Uuid) => string;
  /** Types of what is recorded. */
  readonly begun: EventType;
  readonly retried: EventType;
  readonly failed: EventType;
  /** In the names of crash points and codes: `message`. */
  readonly word: string;
}

/** What an attempt is given. */
export interface Attempt {
  readonly connection: Connection;
  readonly provider: Provider | undefined;
  readonly context: SendContext;
  /** An earlier attempt may have done the effect: the process died, or no answer came. Look before doing it again. */
  readonly mayHaveArrived: boolean;
}

/** What an attempt came to. */
export interface Done {
  readonly type: EventType;
  readonly data: object;
}

export interface RecordedAttemptsParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly http: StepHttp;
  readonly progress: Progress;
  readonly connections: ConnectionTable;
  readonly providers: ReadonlyMap<string, Provider>;
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

  /** @param act does the effect. It throws a StepError for what went wrong. */
  async run(
    { payload: task, position }: ClaimedWork<AttemptTask>,
    signal: AbortSignal,
    act: (request: RecordedEvent<R>, attempt: Attempt) => Promise<Done>,
  ): Promise<WorkDone> {
    const { clock, progress, connections } = this.parts;
    const { word, begun, retried, failed } = this.kind;
    await progress.whenProcessed(connections.name, position);
    const first = 2 * (task.attempt - 1);
    const history = await this.parts.store.readStream(this.kind.stream(task.request));
    const outcome = history[first + 1];
    if (outcome) return { position: outcome.position };
    const last = history.at(-1);
    if (last?.type === failed) return { position: last.position };
    const request = await this.read(task);
    const name = this.kind.integration(request);
    const connection = connections.find(request.metadata.orgId, name);
    const opened = connection && (await connections.open(connection));
    const record = (place: 0 | 1, { type, data }: Done) => this.append(task, request, connection, place, type, data);
    const arrived = history[first] !== undefined || history.some(mayHaveArrived);
    const since = new Date(history[0]?.metadata.timestamp ?? clock.now());
    if (!history[first] && (await record(0, { type: begun, data: {} })).repeated) {
      // Another process has begun it too, or the request was withdrawn.
      const newest = await readLast(this.parts.store, this.kind.stream(task.request));
      if (newest?.type === failed) return { position: newest.position };
    }
    crashPoint(`actions.${word}-begun`);
    const startedAt = clock.now();
    const run = (stop: AbortSignal): Promise<Done> => {
      if (request.isErased) throw misconfigured(SUBJECT_ERASED, 'The request has fields of a person who was erased.');
      if (!connection || !opened)
        throw misconfigured(`${word}.unknown_integration`, `There is no integration "${name}". Use its id or name.`);
      if (!connection.active)
        throw misconfigured(
          `${word}.disabled_integration`,
          `The integration "${connection.name}" is disabled. Enable it.`,
        );
      const { config } = opened;
      const idempotencyKey = request.id;
      const { http, providers } = this.parts;
      const context = { config, idempotencyKey, since, now: clock.now(), timeoutMs: TIMEOUT_MS, signal: stop, http };
      const provider = providers.get(connection.provider);
      return act(request, { connection, provider, context, mayHaveArrived: arrived });
    };
    // A service may repeat what it was sent.
    const ending = masker(opened?.secrets ?? []).value(await attempted(run, TIMEOUT_MS, signal));
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
    const recorded = await record(1, done);
    crashPoint(`actions.${word}-recorded`);
    return { position: recorded.position };
  }

  private async append(
    task: AttemptTask,
    request: RecordedEvent<R>,
    connection: Connection | undefined,
    place: 0 | 1,
    type: EventType,
    data: object,
  ): Promise<AppendResult> {
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
    return appendOnce(this.parts.store, stream, [event], before < 0 ? 'no-stream' : BigInt(before));
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
