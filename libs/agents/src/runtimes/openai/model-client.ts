import type { EgressOutcome } from '#libs/egress/src/egress.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { backoff } from '#libs/kernel/src/time/backoff.js';
import { noSooner, retryAfterSeconds } from '#libs/kernel/src/time/retry-after.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';

import { failed, timedOut } from '../../engine/end-drafts.js';
import type { ExecutionDraft } from '../../engine/execution-state.js';
import { failureInWords, isPassing } from '../http-runtime.js';
import { MAX_OUTPUT_BYTES, type Turn } from '../runtime.js';
import { type Filled, withSecrets } from '../secret-references.js';
import { estimatedTokens, priced } from './limits.js';
import { type Question, wires } from './wire.js';

const MAX_TRIES = 4;
const RETRY = { first: 1_000, max: 30_000 };

type Called = DataOf<'agent.model_called'>;

/** Asks the model once. What fails in passing is tried again later, as the log then says. */
export async function callModel(
  turn: Turn,
  called: Called,
  asked: Omit<Question, 'maxOutputTokens'>,
  signal: AbortSignal,
): Promise<readonly ExecutionDraft[]> {
  const { execution, settings, orgId, world } = turn;
  const config = settings.config as ConfigOf<'openai'>;
  const wire = wires[config.api ?? 'chat_completions'];
  const fail = (code: string, message: string) => [failed(execution, { code, message }, world.clock.now())];
  let outcome: EgressOutcome;
  let mask: Filled['mask'];
  try {
    const credentials = { ...config.headers, ...(config.apiKey && { Authorization: `Bearer ${config.apiKey}` }) };
    const filled = await withSecrets(credentials, orgId, world.secretValues);
    mask = filled.mask;
    outcome = await world.egress.request({
      method: 'POST',
      url: `${config.baseUrl.replace(/\/+$/, '')}/${wire.path}`,
      headers: {
        ...filled.texts,
        'Content-Type': 'application/json',
        'Idempotency-Key': uuid5('agent-model', called.executionId, String(called.call)),
      },
      body: stringifyJson(wire.body(config, { ...asked, maxOutputTokens: called.reserved.outputTokens })),
      timeoutMs: Math.max(1, execution.deadline!.getTime() - world.clock.now().getTime()),
      keepBytes: MAX_OUTPUT_BYTES,
      maxBytes: MAX_OUTPUT_BYTES,
      signal,
    });
  } catch (error) {
    if (error instanceof Rejected) return fail(error.code, error.message);
    throw error;
  }
  if (outcome.kind === 'response' && outcome.status >= 200 && outcome.status < 300) {
    const answer = wire.read(mask.value(parsed(outcome.body.toString('utf8'))));
    if (!answer)
      return fail(
        'agent.invalid_answer',
        `The answer of the model server is not one of "${config.api ?? 'chat_completions'}". Check "baseUrl" and "api".`,
      );
    const { usage = assumedUsage(called, answer.text), ...said } = answer;
    const { executionId, call } = called;
    const data = { executionId, call, ...said, usage: priced(config, usage), latencyMs: outcome.latencyMs };
    return [{ type: 'agent.model_answered', data }];
  }
  return failure(turn, outcome);
}

/** Where the server does not say what was used, what was reserved counts. */
const assumedUsage = ({ reserved: { inputTokens, outputTokens } }: Called, text: string) => ({
  inputTokens,
  outputTokens: outputTokens ?? estimatedTokens(text),
});

function failure({ execution, world }: Turn, outcome: EgressOutcome): readonly ExecutionDraft[] {
  const now = world.clock.now();
  if (outcome.kind === 'failed' && outcome.failureClass === 'timeout') return [timedOut(execution, now)];
  const error =
    outcome.kind === 'response'
      ? {
          code: 'agent.model_status',
          message: `The model server answered ${outcome.status}${reasonIn(outcome.body)}.`,
        }
      : {
          code: `agent.model_${outcome.failureClass}`,
          message: `The model server ${failureInWords(outcome)}.`,
        };
  const attempt = execution.failures + 1;
  const asked = outcome.kind === 'response' ? retryAfterSeconds(outcome.headers['retry-after'], now) : undefined;
  const retryAt = timeAfter(now, noSooner(backoff(attempt, RETRY), asked));
  if (!isPassing(outcome) || attempt >= MAX_TRIES || retryAt >= execution.deadline!)
    return [failed(execution, error, now)];
  const { executionId } = execution.start;
  const { latencyMs } = outcome;
  return [
    { type: 'agent.attempt_failed', data: { executionId, attempt, error, retryAt: retryAt.toISOString(), latencyMs } },
  ];
}

/** Its code alone: the message may repeat what it was sent. */
function reasonIn(body: Buffer): string {
  const answer = parsed(body.toString('utf8')) as { error?: { code?: unknown } } | undefined;
  const code = answer?.error?.code;
  return typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) ? ` (${code})` : '';
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
