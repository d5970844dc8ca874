import type { StepEvents } from './step-kind.js';

/** The event of every kind that requests something and waits. */
export const AWAITING: StepEvents<unknown> = {
  'run.step_awaiting': {
    evolve: (step, { requestId }) => ({ ...step, awaiting: [...step.awaiting, requestId] }),
    show(shown, { input, attempt }, timestamp) {
      Object.assign(shown, { status: 'waiting', input });
      if (attempt !== undefined) shown.attempts.push({ attempt, startedAt: timestamp, resumed: 0 });
    },
  },
};
