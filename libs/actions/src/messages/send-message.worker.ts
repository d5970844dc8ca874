import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import { noSooner } from '#libs/kernel/src/time/retry-after.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import type { SentMessage } from '#libs/plugin-sdk/src/define-messenger.js';
import { StepError, type StepHttp } from '#libs/plugin-sdk/src/define-step.js';

import { attempted } from '../attempts/attempt.js';
import { type AttemptTask, MESSAGES } from '../attempts/attempt-task.js';
import type { Connection, ConnectionTable } from '../connections/connection.table.js';
import { type Addressed, type MessageAddress } from './message-address.js';

const TIMEOUT_MS = 30_000;

export interface SendMessageParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly http: StepHttp;
  readonly progress: Progress;
  readonly connections: ConnectionTable;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly address: MessageAddress;
  /** Milliseconds before each attempt but the first. */
  readonly retrySchedule: readonly number[];
  readonly log?: Log;
}

type Requested = RecordedEvent<'message.requested'>;

/** An earlier attempt, as the stream of the message tells of it. */
interface Earlier {
  /** This attempt was begun, and whoever began it died. */
  readonly begun: boolean;
  readonly mayHaveArrived: boolean;
  /** When the first attempt began. */
  readonly since: Date;
}

/**
 * Makes one attempt to send a message. That it begins is recorded before, so that after a crash it is known that the message
 * may have been sent: then the service is asked before it is sent again.
 */
export class SendMessage implements Worker<AttemptTask> {
  readonly queue = MESSAGES;
  readonly concurrency = 16;
  readonly writes = [
    'message.attempted',
    'message.attempt_failed',
    'message.reply_taken',
    'message.sent',
    'message.failed',
  ] as const;

  constructor(private readonly parts: SendMessageParts) {}

  async run(work: ClaimedWork<AttemptTask>, signal: AbortSignal): Promise<WorkDone> {
    const { store, clock, progress, connections, providers } = this.parts;
    const task = work.payload;
    const first = 2 * (task.attempt - 1);
    const history = await store.readStream(streams.message(task.request));
    const outcome = history[first + 1];
    if (outcome) return { position: outcome.position };
    await progress.whenProcessed(connections.name, work.position);
    const request = await this.read(task);
    const connection = connections.find(request.metadata.orgId, request.data.integration);
    const provider = connection && providers.get(connection.provider);
    const begun = history[first];
    const earlier: Earlier = {
      begun: begun !== undefined,
      mayHaveArrived: history.some((event) => event.is('message.attempt_failed') && event.data.mayHaveArrived),
      since: new Date(history[0]?.metadata.timestamp ?? clock.now()),
    };
    if (!begun) await this.append(task, request, connection, { type: 'message.attempted', data: {} }, 0);
    crashPoint('actions.message-begun');
    const startedAt = clock.now();
    const ending = await attempted(
      (stop) => this.send(request, connection, provider, earlier, stop),
      TIMEOUT_MS,
      signal,
    );
    crashPoint('actions.message-sent');
    const latencyMs = Math.max(0, clock.now().getTime() - startedAt.getTime());
    if (ending.kind === 'done') {
      const sent = ending.output as SentMessage;
      const data = { provider: connection!.provider, ...givenOf(sent), latencyMs };
      return this.append(task, request, connection, { type: 'message.sent', data }, 1);
    }
    const { error, retryable, retryAfter, bug } = ending;
    if (bug !== undefined)
      (this.parts.log ?? silentLog).error(
        { request: eventIdOf(task.request), provider: connection?.provider, error: bug },
        'a provider failed to send a message with an unexpected error',
      );
    const planned = retryable ? this.parts.retrySchedule[task.attempt - 1] : undefined;
    const data = { error: { code: error.code, message: error.message }, latencyMs };
    if (planned === undefined) return this.append(task, request, connection, { type: 'message.failed', data }, 1);
    const nextAttemptAt = timeAfter(clock.now(), noSooner(planned, retryAfter)).toISOString();
    const failed = { ...data, mayHaveArrived: !SURELY_NOT_SENT.test(error.code), nextAttemptAt };
    return this.append(task, request, connection, { type: 'message.attempt_failed', data: failed }, 1);
  }

  /** @throws StepError */
  private async send(
    request: Requested,
    connection: Connection | undefined,
    provider: Provider | undefined,
    earlier: Earlier,
    signal: AbortSignal,
  ): Promise<SentMessage> {
    const { clock, http, connections, address } = this.parts;
    const { integration } = request.data;
    if (!connection)
      throw refusal('message.unknown_integration', `There is no integration "${integration}". Use its id or name.`);
    if (!connection.active)
      throw refusal('message.disabled_integration', `The integration "${connection.name}" is disabled. Enable it.`);
    if (!provider?.send)
      throw refusal(
        'message.cannot_send',
        `The provider ${connection.provider} sends no messages. Use an integration of slack or botframework.`,
      );
    const context = {
      config: await connections.configOf(connection),
      secrets: [],
      idempotencyKey: request.id,
      since: earlier.since,
      now: clock.now(),
      timeoutMs: TIMEOUT_MS,
      signal,
      http,
    };
    const addressed: Addressed = await address.of(request, connection, provider);
    if (earlier.begun || earlier.mayHaveArrived) {
      if (!provider.findSent || addressed.replyTo !== undefined) throw outcomeUnknown();
      const found = await provider.findSent(addressed, context);
      if (found) return found;
    }
    return provider.send(addressed, context);
  }

  private async append(
    task: AttemptTask,
    request: Requested,
    connection: Connection | undefined,
    { type, data }: { readonly type: (typeof SendMessage.prototype.writes)[number]; readonly data: object },
    place: 0 | 1,
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
        id: uuid5(MESSAGES, task.request, String(task.attempt), String(place)),
        orgId,
        actor,
        now: this.parts.clock.now(),
        cause: causedBy(request),
        subject: connection ? `integration/${connection.id}` : subject,
      },
    );
    const before = 2 * (task.attempt - 1) + place - 1;
    const { position } = await appendOnce(
      this.parts.store,
      streams.message(task.request),
      [event],
      before < 0 ? 'no-stream' : BigInt(before),
    );
    if (place === 1) crashPoint('actions.message-recorded');
    return { position };
  }

  private async read({ request, stream, revision }: AttemptTask): Promise<Requested> {
    const event = await readAt(this.parts.store, stream, revision);
    if (event?.id === request && event.is('message.requested')) return event;
    throw new Error(`The request ${eventIdOf(request)} is no longer in the log.`);
  }
}

/** Codes after which the message has surely not arrived: nothing was sent, or the service said no. */
const SURELY_NOT_SENT = /^(?:dns|tls|refused_address|http\.4\d\d|(?:message|slack|botframework)\..+)$/;

export const refusal = (code: string, message: string): StepError =>
  new StepError({ code, message, type: 'configuration', retryable: false });

const outcomeUnknown = (): StepError =>
  new StepError({
    code: 'message.outcome_unknown',
    message:
      'An earlier attempt may have sent the message, and the service cannot be asked. It was not sent again. Look in the channel.',
    retryable: false,
  });

/** Fields that are texts: a plug-in may return anything. */
function givenOf(sent: SentMessage | null): SentMessage {
  const { channel, messageId, threadId } = sent ?? {};
  return Object.fromEntries(
    Object.entries({ channel, messageId, threadId }).filter(([, value]) => typeof value === 'string' && value !== ''),
  );
}
