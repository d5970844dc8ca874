import type { StepEvents } from './step-kind.js';

/** Why `retry` has no effect on steps without effects. */
export const ONLY_COMPUTES = 'It only computes, so another attempt has the same result.';

/** The event of every kind whose steps are attempted again: the next attempt begins as the first one did. */
export const ATTEMPT_FAILED: StepEvents<unknown> = {
  'run.attempt_failed': {
    evolve: (step, { attempt, retryAt }) => ({
      ...step,
      attempt: attempt + 1,
      timer: { at: retryAt, fired: false },
      deadline: undefined,
      awaiting: [],
      requested: undefined,
      noted: undefined,
    }),
    show(shown, { error, output }, timestamp) {
      shown.status = 'waiting';
      Object.assign(shown.attempts.at(-1) ?? {}, { endedAt: timestamp, error, ...(output !== null && { output }) });
    },
  },
};
