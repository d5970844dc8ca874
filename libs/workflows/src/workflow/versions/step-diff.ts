import { isDeepStrictEqual } from 'node:util';

import type { Definition, Step } from '../../language/definition.js';
import { allSteps, ownKeys } from '../../steps/registry.js';

export interface StepDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** The keys that differ, without those that hold steps. */
  readonly changed: readonly { readonly id: string; readonly keys: readonly string[] }[];
}

/** What became of the steps between two versions, told apart by their ids. Pure. */
export function stepDiff(before: Definition, after: Definition): StepDiff {
  const [old, young] = [stepsOf(before), stepsOf(after)];
  return {
    added: [...young.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !young.has(id)),
    changed: [...young].flatMap(([id, step]) => {
      const other = old.get(id);
      const keys = other ? differences(ownKeys(other), ownKeys(step)) : [];
      return keys.length > 0 ? [{ id, keys }] : [];
    }),
  };
}

const stepsOf = ({ steps, onFailure, finally: last }: Definition): ReadonlyMap<string, Step> =>
  new Map(allSteps([...steps, ...onFailure, ...(last?.steps ?? [])]).map((step) => [step.id, step]));

function differences(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): readonly string[] {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.filter((key) => !isDeepStrictEqual(a[key], b[key]));
}
