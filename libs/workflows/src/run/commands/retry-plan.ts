import { isDeepStrictEqual } from 'node:util';

import type { StartedRun } from '../../engine/run-state.js';
import { itemPath, pathOf } from '../../engine/step-path.js';
import type { Definition, Step } from '../../language/definition.js';
import { nestedIn, ownKeys, withShared } from '../../steps/registry.js';
import { stepIn, type StepStates } from '../../steps/kind/step-state.js';

/** What a retry does to the steps of a run. */
export interface RetryPlan {
  /** Paths of steps that start again. */
  readonly forget: readonly string[];
  /** Paths of steps that hold others and go on where these failed, outer ones first. */
  readonly reopen: readonly string[];
}

/** From where a failed run goes on: what has ended well stays, also inside a loop or a branch that failed. Pure. */
export function retryPlan(run: StartedRun, { steps, onFailure, finally: last }: Definition): RetryPlan {
  const forget: string[] = [];
  const reopen: string[] = [];
  plan(steps, run.steps, '', forget, reopen);
  for (const step of withShared([...onFailure, ...(last?.steps ?? [])]))
    if (stepIn(run.steps, step.id)) forget.push(step.id);
  return { forget, reopen };
}

function plan(steps: readonly Step[], states: StepStates, prefix: string, forget: string[], reopen: string[]): void {
  for (const step of steps) {
    const state = stepIn(states, step.id);
    if (state === undefined || state.status === 'completed' || state.status === 'skipped') continue;
    if (state.status === 'failed' && state.continued) continue;
    const path = pathOf(prefix, step.id);
    const before = state.status === 'failed' ? state.before : state;
    const { lists, isShared } = nestedIn(step);
    if (lists.length === 0 || before === undefined) {
      forget.push(path);
      continue;
    }
    reopen.push(path);
    if (isShared) for (const list of lists) plan(list, states, prefix, forget, reopen);
    else
      for (const [index, item] of before.items.entries())
        if (item && !item.done) for (const list of lists) plan(list, item.steps, itemPath(path, index), forget, reopen);
  }
}

/**
 * The first step that a run has behind it, or is inside of, and that another version writes differently or has elsewhere;
 * `undefined` if the run can go on with that version. Pure.
 * @param states the steps of the run, without those that start again.
 */
export function firstDifference(
  states: StepStates,
  before: readonly Step[],
  after: readonly Step[],
): string | undefined {
  const walked = before.slice(0, before.findLastIndex(({ id }) => stepIn(states, id) !== undefined) + 1);
  for (const [index, step] of walked.entries()) {
    const other = after[index];
    if (other?.id !== step.id) return step.id;
    const state = stepIn(states, step.id);
    if (state === undefined) continue;
    const { lists, isShared } = nestedIn(step);
    const isInside = state.status === 'open' && lists.length > 0 && step.kind === other.kind;
    if (!isDeepStrictEqual(isInside ? ownKeys(step) : step.written, isInside ? ownKeys(other) : other.written))
      return step.id;
    if (!isInside) continue;
    const others = nestedIn(other).lists;
    const passes = isShared ? [states] : state.items.map((item) => item.steps);
    for (const [nth, list] of lists.entries())
      for (const pass of passes) {
        const difference = firstDifference(pass, list, others[nth] ?? []);
        if (difference !== undefined) return difference;
      }
  }
  return undefined;
}
