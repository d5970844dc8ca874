import { withoutCredentials } from '#libs/events/src/credentials.js';
import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import { type EffectStep, StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { RetryPolicy } from '../../language/definition.js';
import type { LibraryKind } from '../kind/step-kind.js';
import { delayAfter } from './retry.js';
import { failureOf } from '../kind/step-failure.js';
import { evaluating, filledInput, plain } from '../kind/step-input.js';

/** Noted while an attempt is under way, or was when its process died. */
interface Attempting {
  readonly input: unknown;
  readonly secrets: readonly SecretPlace[];
}

/** Steps of the library that do something in the world: a worker does them, attempt by attempt. */
export const effectStep: LibraryKind<EffectStep, Attempting> = {
  form: 'library',
  name: 'effect',
  pace: 'attempts',
  events: {
    'run.step_started': {
      evolve: (step, { attempt, input, secrets = [] }) => ({
        ...step,
        attempt,
        timer: undefined,
        noted: { input, secrets },
      }),
      show(shown, { attempt, input }, timestamp) {
        Object.assign(shown, { status: 'running', input: withoutCredentials(input) });
        shown.attempts.push({ attempt, startedAt: timestamp, resumed: 0 });
      },
    },
    'run.step_resumed': {
      show(shown) {
        const last = shown.attempts.at(-1);
        if (last) last.resumed++;
      },
    },
    'run.attempt_failed': {
      evolve: (step, { attempt, retryAt }) => ({
        ...step,
        attempt: attempt + 1,
        timer: { at: retryAt, fired: false },
        noted: undefined,
      }),
      show(shown, { error, output }, timestamp) {
        shown.status = 'waiting';
        Object.assign(shown.attempts.at(-1) ?? {}, { endedAt: timestamp, error, ...(output !== null && { output }) });
      },
    },
  },

  decide(step, decision) {
    if (!decision.canAttempt()) return 'open';
    const { uses } = step;
    const { attempt = 1, noted, timer } = decision.open ?? {};
    if (noted) {
      // Another process had begun the attempt, and is gone.
      if (!decision.isAttempting) decision.record('run.step_resumed', { attempt });
      decision.attempt({ uses, attempt, ...noted });
      return 'open';
    }
    if (timer && !decision.isDue('retry')) return 'open';
    const { input, secrets } = filledInput(step, decision.scope());
    decision.record('run.step_started', { attempt, input, ...(secrets.length > 0 && { secrets: [...secrets] }) });
    decision.attempt({ uses, attempt, input, secrets });
    return 'open';
  },

  attemptEnded({ retry }, decision, result) {
    const { attempt, path } = result.attempt;
    const { open } = decision;
    // Given up in the meantime, or taken over by another process: the result counts no longer.
    if (open?.noted === undefined || open.attempt !== attempt) return;
    if ('output' in result) {
      decision.completed(result.output);
      return;
    }
    const { thrown } = result;
    const error = failureOf(thrown, path);
    const output = thrown instanceof StepError ? unlessTooLarge(thrown.output) : null;
    const scope = () => ({ ...decision.scope(), error, output, attempt });
    const mayHelp = thrown instanceof StepError && thrown.retryable;
    if (retry === undefined || attempt >= retry.maxAttempts || !isWorthwhile(retry, mayHelp, scope)) {
      decision.failed(error, output);
      return;
    }
    const retryAfter = thrown instanceof StepError ? thrown.retryAfter : undefined;
    const delay = delayAfter(retry, attempt, retryAfter, decision.runId, path);
    const retryAt = timeAfter(decision.now, delay).toISOString();
    decision.record('run.attempt_failed', { attempt, error, output, retryAt });
    decision.setTimer('retry', delay);
  },
};

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
