import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { streams } from '#libs/events/src/streams.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import type { SentMessage } from '#libs/plugin-sdk/src/services/define-messenger.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { StepError, type StepHttp } from '#libs/plugin-sdk/src/define-step.js';

import { type AttemptTask, MESSAGES } from '../attempts/attempt-task.js';
import {
  type Earlier,
  RecordedAttempts,
  type RecordedAttemptsParts,
  refusal,
  TIMEOUT_MS,
} from '../attempts/recorded-attempts.js';
import type { Connection, ConnectionTable } from '../connections/connection.table.js';
import type { MessageAddress } from './message-address.js';

export interface SendMessageParts extends RecordedAttemptsParts {
  readonly http: StepHttp;
  readonly progress: Progress;
  readonly connections: ConnectionTable;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly address: MessageAddress;
}

type Requested = RecordedEvent<'message.requested'>;

/** Sends messages. After an attempt that may have sent one, the service is asked before it is sent again. */
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
  private readonly attempts: RecordedAttempts<'message.requested'>;

  constructor(private readonly parts: SendMessageParts) {
    this.attempts = new RecordedAttempts(
      {
        requested: 'message.requested',
        queue: MESSAGES,
        stream: streams.message,
        begun: 'message.attempted',
        retried: 'message.attempt_failed',
        failed: 'message.failed',
        word: 'message',
      },
      parts,
    );
  }

  async run({ payload, position }: ClaimedWork<AttemptTask>, signal: AbortSignal): Promise<WorkDone> {
    const { progress, connections } = this.parts;
    await progress.whenProcessed(connections.name, position);
    return this.attempts.run(payload, signal, (request) => {
      const connection = connections.find(request.metadata.orgId, request.data.integration);
      return {
        connection,
        act: async (earlier, stop) => {
          const sent = await this.send(request, connection, earlier, stop);
          return { type: 'message.sent', data: { provider: connection!.provider, ...givenOf(sent) } };
        },
      };
    });
  }

  /** @throws StepError */
  private async send(
    request: Requested,
    connection: Connection | undefined,
    { mayHaveArrived, since }: Earlier,
    signal: AbortSignal,
  ): Promise<SentMessage> {
    const { clock, http, connections, address } = this.parts;
    const { integration } = request.data;
    if (!connection)
      throw refusal('message.unknown_integration', `There is no integration "${integration}". Use its id or name.`);
    if (!connection.active)
      throw refusal('message.disabled_integration', `The integration "${connection.name}" is disabled. Enable it.`);
    const provider = this.parts.providers.get(connection.provider);
    if (!provider?.send)
      throw refusal(
        'message.cannot_send',
        `The provider ${connection.provider} sends no messages. Use an integration of slack or botframework.`,
      );
    const context = {
      config: await connections.configOf(connection),
      idempotencyKey: request.id,
      since,
      now: clock.now(),
      timeoutMs: TIMEOUT_MS,
      signal,
      http,
    };
    const addressed = await address.of(request, connection, provider);
    if (mayHaveArrived) {
      if (!provider.findSent || addressed.replyTo !== undefined) throw outcomeUnknown();
      const found = await provider.findSent(addressed, context);
      if (found) return found;
    }
    return provider.send(addressed, context);
  }
}

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
