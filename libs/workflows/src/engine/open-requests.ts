import type { DataOf } from '#libs/events/src/catalogue.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import type { OpenStep, StepStates } from '../steps/kind/step-state.js';
import { itemPath, pathOf } from './step-path.js';

/** A request to another part of the platform that has no outcome yet. */
export type OpenRequest = Omit<DataOf<'run.request_withdrawn'>, 'runId'> & { readonly requestId: Uuid };

/** The open requests of steps, and of those inside them. @param prefix path of the pass in which they stand. */
export const openRequests = (steps: StepStates, prefix = ''): readonly OpenRequest[] =>
  Object.entries(steps).flatMap(([id, step]): readonly OpenRequest[] => {
    if (step.status !== 'open') return [];
    const path = pathOf(prefix, id);
    const { awaiting, requested, items } = step;
    const inside = items.flatMap((item, index) => (item.done ? [] : openRequests(item.steps, itemPath(path, index))));
    if (!requested) return inside;
    const { type: request, ...named } = requested;
    return [...awaiting.map((requestId) => ({ path, requestId, request, ...named })), ...inside];
  });

/** Steps that wait for the outcome of a request. */
export function awaitingSteps(steps: StepStates): OpenStep[] {
  return Object.values(steps).flatMap((step) => {
    if (step.status !== 'open') return [];
    const inside = step.items.filter(({ done }) => !done).flatMap((item) => awaitingSteps(item.steps));
    return step.awaiting.length === 0 ? inside : [step, ...inside];
  });
}
