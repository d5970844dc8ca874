import { withoutCredentials } from '#libs/events/src/credentials.js';
import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';
import type { EffectStep } from '#libs/plugin-sdk/src/define-step.js';

import { ATTEMPT_FAILED } from '../kind/attempt-failed.js';
import type { LibraryKind } from '../kind/step-kind.js';
import { filledInput } from '../kind/step-input.js';
import { failAttempt } from './retry.js';

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
    ...(ATTEMPT_FAILED as object),
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

  attemptEnded(step, decision, result) {
    const { attempt } = result.attempt;
    const { open } = decision;
    // Given up in the meantime, or taken over by another process: the result counts no longer.
    if (open?.noted === undefined || open.attempt !== attempt) return;
    if ('output' in result) decision.completed(result.output);
    else failAttempt(step, decision, result.thrown);
  },
};
