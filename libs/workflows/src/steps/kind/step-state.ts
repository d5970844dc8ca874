import type { DataOf } from '#libs/events/src/catalogue.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

export type RunFailure = DataOf<'workflow.failed'>['error'];

export type TimerPurpose = DataOf<'run.timer_set'>['purpose'];
export interface TimerState {
  readonly at: string;
  readonly fired: boolean;
}

/** Steps by id: those of the workflow, or those of one item of a loop. */
export interface StepStates {
  readonly [stepId: string]: StepState;
}

/**
 * A step of a run: absent until the engine looks at it for the first time, then `open`, and in the end `completed`, `failed`
 * or `skipped`, permanently.
 */
export type StepState =
  | OpenStep
  | { readonly status: 'completed'; readonly output: unknown }
  | {
      readonly status: 'failed';
      readonly output: unknown;
      readonly error: RunFailure;
      readonly continued: boolean;
      /** As it was before, so that a retry of the run goes on inside a loop instead of beginning it again. */
      readonly before: OpenStep | undefined;
    }
  | { readonly status: 'skipped' };

/** @typeParam Noted what the events of the step's kind have noted. */
export interface OpenStep<Noted = unknown> {
  readonly status: 'open';
  readonly startedAt: string;
  /** From 1. */
  readonly attempt: number;
  /** The step's time limit, where a timer watches it. */
  readonly deadline: TimerState | undefined;
  /** The end of a wait, or the next attempt. */
  readonly timer: TimerState | undefined;
  /** The requests whose outcomes the step waits for, or has waited for. */
  readonly awaiting: readonly Uuid[];
  /** What it has requested last from another part of the platform. */
  readonly requested: Requested | undefined;
  /** Passes with a scope of their own, such as the items of a loop. */
  readonly items: readonly ItemState[];
  readonly noted: Noted | undefined;
}

export interface Requested {
  /** Type of the request. */
  readonly type: string;
  /** The delivery that it names. */
  readonly deliveryId?: string;
}

export interface ItemState {
  readonly steps: StepStates;
  readonly done: boolean;
}

const emptyItem: ItemState = { steps: {}, done: false };

/** The state of a step; names that every object has are no steps. */
export const stepIn = (steps: StepStates, id: string): StepState | undefined =>
  Object.hasOwn(steps, id) ? steps[id] : undefined;

/** An open step as it is; the first look at a step opens it. */
export const opened = (step: StepState | undefined, timestamp: string): OpenStep =>
  step?.status === 'open'
    ? step
    : {
        status: 'open',
        startedAt: timestamp,
        attempt: 1,
        deadline: undefined,
        timer: undefined,
        awaiting: [],
        requested: undefined,
        items: [],
        noted: undefined,
      };

export const itemIn = (step: StepState | undefined, index: number): ItemState =>
  (step?.status === 'open' ? step.items[index] : undefined) ?? emptyItem;

export function withItem(items: readonly ItemState[], index: number, item: ItemState): readonly ItemState[] {
  const copy = items.slice();
  while (copy.length < index) copy.push(emptyItem);
  copy[index] = item;
  return copy;
}
