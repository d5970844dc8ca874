import { backoff } from '#libs/kernel/src/time/backoff.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { noSooner } from '#libs/kernel/src/time/retry-after.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { RetryPolicy, UsesFields } from '../../language/definition.js';
import { failureOf } from '../kind/step-failure.js';
import { evaluating, plain } from '../kind/step-input.js';
import type { Progress, StepDecision } from '../kind/step-kind.js';

/** Plans another attempt of a step after one that failed, if that is worthwhile; otherwise the step fails. */
export function failAttempt({ retry }: UsesFields, decision: StepDecision, thrown: unknown): Progress {
  const { path, runId } = decision;
  const attempt = decision.open?.attempt ?? 1;
  const error = failureOf(thrown, path);
  const output = thrown instanceof StepError ? unlessTooLarge(thrown.output) : null;
  const scope = () => ({ ...decision.scope(), error, output, attempt });
  const mayHelp = thrown instanceof StepError && thrown.retryable;
  if (retry === undefined || attempt >= retry.maxAttempts || !isWorthwhile(retry, mayHelp, scope))
    return decision.failed(error, output);
  const retryAfter = thrown instanceof StepError ? thrown.retryAfter : undefined;
  return decision.retryAfter(delayAfter(retry, attempt, retryAfter, runId, path), { attempt, error, output });
}

/** @param mayHelp what the step itself says. */
function isWorthwhile({ when, exceptWhen }: RetryPolicy, mayHelp: boolean, scope: () => object): boolean {
  if (exceptWhen && evaluating(() => exceptWhen.test(scope()))) return false;
  return when ? evaluating(() => when.test(scope())) : mayHelp;
}

const unlessTooLarge = (output: unknown): unknown => {
  try {
    return plain(output, 'step.output_too_large');
  } catch {
    return null;
  }
};

/**
 * Milliseconds between a failed attempt and the next. Jitter is drawn from the cause, not at random, so that a decision
 * taken twice is the same decision.
 * @param attempt the one that failed, from 1.
 * @param retryAfter seconds that the other side asked to wait; never shortened.
 */
export function delayAfter(
  policy: RetryPolicy,
  attempt: number,
  retryAfter: number | undefined,
  ...cause: readonly string[]
): number {
  const max = Math.max(policy.maxDelayMs, policy.delayMs);
  const tries = policy.backoff === 'exponential' ? attempt : 1;
  const random = policy.jitter ? fraction(...cause, String(attempt)) : 1;
  return noSooner(backoff(tries, { first: policy.delayMs, max }, random), retryAfter);
}

/** From 0 to 1, evenly, the same for the same cause. */
const fraction = (...cause: readonly string[]): number => parseInt(uuid5('jitter', ...cause).slice(0, 8), 16) / 2 ** 32;
