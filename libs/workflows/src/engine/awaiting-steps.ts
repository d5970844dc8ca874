import type { OpenStep, StepStates } from '../steps/kind/step-state.js';

/** Steps that wait for the outcome of a request. */
export function awaitingSteps(steps: StepStates): OpenStep[] {
  return Object.values(steps).flatMap((step) => {
    if (step.status !== 'open') return [];
    const inside = step.items.filter(({ done }) => !done).flatMap((item) => awaitingSteps(item.steps));
    return step.awaiting.length === 0 ? inside : [step, ...inside];
  });
}
