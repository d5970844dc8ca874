import type { EgressOutcome } from '#libs/egress/src/egress.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import type { ExecutionError } from '#libs/events/src/shapes/agents/execution-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { backoff } from '#libs/kernel/src/time/backoff.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';
import { noSooner, retryAfterSeconds } from '#libs/kernel/src/time/retry-after.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import { signatureHeaders } from '#libs/plugin-sdk/src/signature-headers.js';

import { failed, finished, timedOut } from '../engine/end-drafts.js';
import type { ExecutionDraft } from '../engine/execution-state.js';
import { MAX_OUTPUT_BYTES, type Move, type Runtime, type Turn, WAIT } from './runtime.js';
import { type Filled, withSecrets } from './secret-references.js';

const DEFAULT_TIMEOUT = '5m';
const DEFAULT_ATTEMPTS = 3;
const RETRY = { first: 1_000, max: 60_000 };
/** The request may be sent again: the agent has not worked on it, or not to the end. */
const PASSING = new Set([408, 425, 429]);

type Config = ConfigOf<'http'>;

/**
 * An agent behind a URL. It answers with the result, or with 202 and delivers the result later. A call that fails in
 * passing is repeated with the same execution id, within the time limit; so is one whose process died.
 */
export const httpRuntime: Runtime = {
  timeLimit: (config) => parseDuration((config as Config).timeout ?? DEFAULT_TIMEOUT),

  decide(turn): Move {
    const { execution, now } = turn;
    if (execution.accepted || (execution.retryAt && execution.retryAt > now)) return WAIT;
    const attempt = execution.isCalling ? execution.attempts : execution.attempts + 1;
    const { executionId } = execution.start;
    return {
      drafts: execution.isCalling ? [] : [{ type: 'agent.attempt_started', data: { executionId, attempt } }],
      call: async (signal) => {
        try {
          const { outcome, mask } = await call(turn, attempt, signal);
          return outcomeOf(turn, attempt, outcome, mask);
        } catch (error) {
          if (!(error instanceof Rejected)) throw error;
          return [failed(execution, { code: error.code, message: error.message }, turn.world.clock.now())];
        }
      },
    };
  },
};

async function call(
  turn: Turn,
  attempt: number,
  signal: AbortSignal,
): Promise<{ readonly outcome: EgressOutcome; readonly mask: Filled['mask'] }> {
  const { execution, settings, orgId, world, input } = turn;
  const { executionId, agentId, agent, trigger, eventId } = execution.start;
  const { url, headers = {} } = settings.config as Config;
  const now = world.clock.now();
  const filled = await withSecrets(headers, orgId, world.secretValues);
  const body = stringifyJson({
    executionId,
    attempt,
    agentId,
    agent,
    trigger,
    eventId: eventId || null,
    input: input ?? null,
    callbackUrl: `${world.publicUrl}/agents/${agentId}/executions/${executionId}/result`,
    callbackToken: await world.callbackToken(orgId, executionId),
  });
  const message = { messageId: executionId, timestamp: Math.floor(now.getTime() / 1000), body };
  const outcome = await world.egress.request({
    method: 'POST',
    url,
    headers: {
      ...filled.texts,
      'Content-Type': 'application/json',
      'Idempotency-Key': executionId,
      'X-Millrace-Execution': executionId,
      ...signatureHeaders(message, await turn.secrets()),
    },
    body,
    timeoutMs: Math.max(1, execution.deadline!.getTime() - now.getTime()),
    keepBytes: MAX_OUTPUT_BYTES,
    maxBytes: MAX_OUTPUT_BYTES,
    signal,
  });
  return { outcome, mask: filled.mask };
}

/** What an answer, or none, means. */
function outcomeOf(
  turn: Turn,
  attempt: number,
  outcome: EgressOutcome,
  mask: Filled['mask'],
): readonly ExecutionDraft[] {
  const { execution, settings, world } = turn;
  const { executionId } = execution.start;
  const { latencyMs } = outcome;
  const now = world.clock.now();
  if (outcome.kind === 'response' && outcome.status === 202)
    return [{ type: 'agent.accepted', data: { executionId, latencyMs } }];
  if (outcome.kind === 'response' && outcome.status >= 200 && outcome.status < 300) {
    const output = mask.value(jsonIn(outcome.body.toString('utf8')));
    return output === undefined
      ? [
          failed(
            execution,
            { code: 'agent.invalid_output', message: 'The agent answered with a body that is not JSON.' },
            now,
          ),
        ]
      : [finished(execution, output, now)];
  }
  // All of the time that was left was spent on this call.
  if (outcome.kind === 'failed' && outcome.failureClass === 'timeout') return [timedOut(execution, now)];
  const error = errorOf(outcome);
  const { maxAttempts = DEFAULT_ATTEMPTS } = settings.config as Config;
  if (!isPassing(outcome) || attempt >= maxAttempts) return [failed(execution, error, now)];
  const asked = outcome.kind === 'response' ? retryAfterSeconds(outcome.headers['retry-after'], now) : undefined;
  const retryAt = timeAfter(now, noSooner(backoff(attempt, RETRY), asked));
  if (retryAt >= execution.deadline!) return [failed(execution, error, now)];
  return [
    { type: 'agent.attempt_failed', data: { executionId, attempt, error, retryAt: retryAt.toISOString(), latencyMs } },
  ];
}

/** Whether the same call may succeed later. */
export const isPassing = (outcome: EgressOutcome): boolean =>
  outcome.kind === 'response'
    ? PASSING.has(outcome.status) || outcome.status >= 500
    : outcome.failureClass === 'dns' || outcome.failureClass === 'connect';

export const errorOf = (outcome: EgressOutcome): ExecutionError =>
  outcome.kind === 'response'
    ? { code: 'agent.status', message: `The agent answered ${outcome.status}.` }
    : { code: `agent.${outcome.failureClass}`, message: `The agent ${failureInWords(outcome)}.` };

/** An answer that is not taken is no connection that failed. */
export const failureInWords = ({ failureClass, detail }: Extract<EgressOutcome, { kind: 'failed' }>): string =>
  `${['body_too_large', 'redirect'].includes(failureClass) ? 'gave an answer that is not accepted' : 'cannot be reached'}: ${detail}`;

/** An empty body is `null`. */
export function jsonIn(text: string): unknown {
  if (text.trim() === '') return null;
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
