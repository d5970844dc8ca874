import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import type { SentMessage } from '#libs/plugin-sdk/src/services/define-messenger.js';
import { misconfigured } from '#libs/plugin-sdk/src/services/define-tracker.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { type AttemptTask, MESSAGES } from '../attempts/attempt-task.js';
import { type Attempt, RecordedAttempts, type RecordedAttemptsParts } from '../attempts/recorded-attempts.js';
import type { MessageAddress } from './message-address.js';

export interface SendMessageParts extends RecordedAttemptsParts {
  readonly address: MessageAddress;
}

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
        integration: ({ data }) => data.integration,
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

  run(work: ClaimedWork<AttemptTask>, signal: AbortSignal): Promise<WorkDone> {
    return this.attempts.run(work, signal, async (request, attempt) => {
      const sent = await this.send(request, attempt);
      return { type: 'message.sent', data: { provider: attempt.connection.provider, ...givenOf(sent) } };
    });
  }

  /** @throws StepError */
  private async send(
    request: RecordedEvent<'message.requested'>,
    { connection, provider, context, mayHaveArrived }: Attempt,
  ): Promise<SentMessage> {
    if (!provider?.send)
      throw misconfigured(
        'message.cannot_send',
        `The provider ${connection.provider} sends no messages. Use an integration of slack or botframework.`,
      );
    const addressed = await this.parts.address.of(request, connection, provider);
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
