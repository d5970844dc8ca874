import { messageOf, Rejected } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { HandshakeOutcome, Provider, ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { timingSafeEqual } from '#libs/plugin-sdk/src/signatures.js';

import type { HandshakeChanges } from '../handshake/handshake-changes.js';
import type { Receiver } from '../integration/integration.table.js';
import type { Accepted } from './provider-output.js';
import { handshakeRefused, NOT_EXPECTED, type Refusal, refusedBecause, UNAVAILABLE } from './refusal.js';

interface HandshakeParts {
  /** Absent: what senders give away is not kept. */
  readonly handshakes?: Pick<HandshakeChanges, 'adopt' | 'awaitConfirmation'> | undefined;
  readonly log: Log;
}

const CONFIRM_TIMEOUT_MS = 5_000;
const CONFIRM_BYTES = 64 * 1024;

const answered = (status: number, body: string, rest: Partial<NonNullable<Accepted['answer']>> = {}): Accepted => ({
  eventIds: [],
  duplicate: false,
  isHandshake: true,
  answer: { status, body, ...rest },
});

/** Does what a handshake asks for, and answers it. */
export async function answerHandshake(
  outcome: HandshakeOutcome,
  receiver: Receiver,
  provider: Provider,
  context: ProviderContext,
  { handshakes, log }: HandshakeParts,
): Promise<Accepted | Refusal> {
  switch (outcome.kind) {
    case 'answered':
      return answered(
        outcome.status,
        outcome.body,
        outcome.contentType === undefined ? {} : { contentType: outcome.contentType },
      );
    case 'refused':
      return handshakeRefused(outcome.status, outcome.detail);
    case 'unproved': {
      const { reason, wants = provider.wants, challenge } = outcome.verdict;
      return refusedBecause(reason, wants, challenge);
    }
    case 'adopt': {
      const { secret, shown = false, headers } = outcome;
      const isKnown = context.secrets.some((one) => timingSafeEqual(one, secret));
      // Before anything is written: anybody can send this.
      if (!isKnown && !adopts(receiver, context)) return NOT_EXPECTED;
      try {
        if (!isKnown && !(await handshakes?.adopt(receiver, secret, shown))) return NOT_EXPECTED;
      } catch (error) {
        log.warn({ integration: receiver.id, error: messageOf(error) }, 'the secret of a sender could not be stored');
        return UNAVAILABLE;
      }
      return answered(200, '', headers === undefined ? {} : { headers });
    }
    case 'confirm':
      return confirm(outcome, receiver, context, { handshakes, log });
  }
}

/** Whether an integration takes a secret from its sender: it has none, or an administrator has opened it. */
export const adopts = (receiver: Receiver, { now }: Pick<ProviderContext, 'now'>): boolean =>
  receiver.secrets.length === 0 || (receiver.adoptsUntil ?? 0) > now.getTime();

async function confirm(
  { url, isSafe }: Extract<HandshakeOutcome, { kind: 'confirm' }>,
  receiver: Receiver,
  { http }: ProviderContext,
  { handshakes, log }: HandshakeParts,
): Promise<Accepted | Refusal> {
  if (!isSafe) {
    try {
      await handshakes?.awaitConfirmation(receiver, url);
    } catch (error) {
      if (!(error instanceof Rejected))
        log.warn({ integration: receiver.id, error: messageOf(error) }, 'a subscription could not be stored');
      return UNAVAILABLE;
    }
    return answered(200, '');
  }
  const outcome = await http?.request({
    method: 'GET',
    url,
    headers: {},
    timeoutMs: CONFIRM_TIMEOUT_MS,
    keepBytes: CONFIRM_BYTES,
    maxBytes: CONFIRM_BYTES,
    signal: AbortSignal.timeout(2 * CONFIRM_TIMEOUT_MS),
  });
  const isDone = outcome?.kind === 'response' && outcome.status >= 200 && outcome.status < 300;
  if (!isDone) log.warn({ integration: receiver.id }, 'a subscription could not be confirmed');
  return isDone ? answered(200, '') : UNAVAILABLE;
}
