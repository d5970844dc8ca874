import type { StepStates } from '../steps/kind/step-state.js';
import { itemPath, pathOf } from './step-path.js';

/** Paths of the steps that are open and hold no others that are, the outer ones first. */
export const openPaths = (steps: StepStates, prefix = ''): readonly string[] =>
  Object.entries(steps).flatMap(([id, step]) => {
    if (step.status !== 'open') return [];
    const path = pathOf(prefix, id);
    const inside = step.items.flatMap((item, index) => (item.done ? [] : openPaths(item.steps, itemPath(path, index))));
    return inside.length > 0 ? inside : [path];
  });
