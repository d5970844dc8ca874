import type { DataOf, EventType } from '#libs/events/src/catalogue.js';

import { type Place, placeOf } from './step-path.js';

/**
 * One execution of a workflow, as its stream tells it.
 *
 * `unknown` until `workflow.started`; then `running` or `waiting` (nothing to do until a time, or until an outcome);
 * ends as `completed`, `failed` or `cancelled`, and stays so. While it lives it is in one of two phases: the steps, and
 * after a failure the steps of `onFailure`.
 */
export type Run = { readonly status: 'unknown' } | StartedRun;

export type RunStatus = DataOf<'workflow.status_changed'>['to'];
export type RunFailure = DataOf<'workflow.failed'>['error'];
export type RunStart = DataOf<'workflow.started'>;

export interface StartedRun {
  readonly status: RunStatus;
  /** Whether the last word has been spoken; nothing is appended after it. */
  readonly ended: boolean;
  readonly start: RunStart;
  readonly startedAt: string;
  readonly steps: Frame;
  /** How many steps have come to their end, those inside loops too. */
  readonly ends: number;
  /** Why the steps failed; from then on it is the turn of `onFailure`. */
  readonly failing: RunFailure | undefined;
  /** The run's own time limit. */
  readonly deadline: TimerState | undefined;
}

/** Steps by id: those of the workflow, or those of one item of a loop. */
export type Frame = { readonly [stepId: string]: StepState };

export type TimerState = { readonly at: string; readonly fired: boolean };

/** What holds while a step is under way. */
interface Open {
  readonly startedAt: string;
  readonly attempt: number;
  /** The step's time limit, where a timer watches it. */
  readonly deadline: TimerState | undefined;
}

/**
 * A step: not there until it is looked at the first time. `timed` has a time limit and nothing else yet. With effects:
 * `attempting` (an attempt is under way, or was when its process died) ⇄ `resting` (until the next attempt). `awaiting`
 * the outcome of a request. `sleeping` in a wait. `branching` in a case of a switch, `looping` over items. In the end
 * `completed`, `failed` or `skipped`, for ever.
 */
export type StepState =
  | (Open & { readonly state: 'timed' })
  | (Open & { readonly state: 'attempting'; readonly input: unknown })
  | (Open & { readonly state: 'resting'; readonly timer: TimerState })
  | (Open & { readonly state: 'awaiting'; readonly requestId: string })
  | (Open & { readonly state: 'sleeping'; readonly timer: TimerState })
  | (Open & { readonly state: 'branching'; readonly branch: number })
  | (Open & {
      readonly state: 'looping';
      readonly count: number;
      readonly items: readonly Item[];
      readonly stop: boolean;
    })
  | { readonly state: 'completed'; readonly output: unknown }
  | { readonly state: 'failed'; readonly output: unknown; readonly error: RunFailure; readonly continued: boolean }
  | { readonly state: 'skipped' };

export interface Item {
  readonly steps: Frame;
  readonly done: boolean;
}

export const emptyItem: Item = { steps: {}, done: false };

export const unknownRun: Run = { status: 'unknown' };

/** Facts of a run, as drafted or as recorded. */
export interface RunFact<T extends EventType = EventType> {
  readonly type: T;
  readonly data: DataOf<T>;
  /** RFC 3339 UTC: when it was recorded. */
  readonly timestamp: string;
}

/** The run after a fact. Pure and total: facts that do not concern it leave it as it is. */
export function evolve(run: Run, fact: { type: string; data: unknown; timestamp: string }): Run {
  if (run.status === 'unknown') {
    if (fact.type !== 'workflow.started') return run;
    return {
      status: 'running',
      ended: false,
      start: fact.data as RunStart,
      startedAt: fact.timestamp,
      steps: {},
      ends: 0,
      failing: undefined,
      deadline: undefined,
    };
  }
  const step = evolvers[fact.type as keyof typeof evolvers] as
    ((run: StartedRun, data: unknown, timestamp: string) => StartedRun) | undefined;
  return step ? step(run, fact.data, fact.timestamp) : run;
}

/** Everything that a stream of facts says about its run. */
export const foldRun = (
  facts: Iterable<{ type: string; data: unknown; timestamp: string }>,
  from: Run = unknownRun,
): Run => {
  let run = from;
  for (const fact of facts) run = evolve(run, fact);
  return run;
};

type Evolvers = {
  readonly [T in EventType]?: (run: StartedRun, data: DataOf<T>, timestamp: string) => StartedRun;
};

const evolvers = {
  'workflow.status_changed': (run, { to }) => ({ ...run, status: to }),
  'workflow.completed': (run) => ({ ...run, ended: true }),
  'workflow.failed': (run) => ({ ...run, ended: true }),
  'run.cancelled': (run) => ({ ...run, ended: true }),
  'run.recovery_started': (run, { error }) => ({ ...run, failing: error }),
  'run.step_started': (run, { path, attempt, input }, timestamp) =>
    atStep(run, path, (step) => ({ ...opened(step, timestamp), state: 'attempting', attempt, input })),
  'run.attempt_failed': (run, { path, attempt, retryAt }, timestamp) =>
    atStep(run, path, (step) => ({
      ...opened(step, timestamp),
      state: 'resting',
      attempt: attempt + 1,
      timer: { at: retryAt, fired: false },
    })),
  'run.step_awaiting': (run, { path, requestId }, timestamp) =>
    atStep(run, path, (step) => ({ ...opened(step, timestamp), state: 'awaiting', requestId })),
  'run.step_skipped': (run, { path }) => ended(run, path, { state: 'skipped' }),
  'run.branch_taken': (run, { path, case: branch }, timestamp) =>
    atStep(run, path, (step) => ({ ...opened(step, timestamp), state: 'branching', branch })),
  'run.loop_entered': (run, { path, count }, timestamp) =>
    atStep(run, path, (step) => ({ ...opened(step, timestamp), state: 'looping', count, items: [], stop: false })),
  'run.item_completed': (run, { path, index, stop }) =>
    atStep(run, path, (step) =>
      step?.state === 'looping'
        ? {
            ...step,
            items: replaced(step.items, index, { ...(step.items[index] ?? emptyItem), done: true }),
            stop: step.stop || stop,
          }
        : step,
    ),
  'run.timer_set': (run, { path, purpose, at }, timestamp) => {
    const timer: TimerState = { at, fired: false };
    if (path === '') return { ...run, deadline: timer };
    return atStep(run, path, (step) => {
      const open = opened(step, timestamp);
      if (purpose === 'wait') return { ...open, state: 'sleeping', timer };
      if (purpose === 'timeout') return { ...(isOpen(step) ? step : { ...open, state: 'timed' }), deadline: timer };
      return step;
    });
  },
  'run.timer_fired': (run, { path, purpose }) => {
    if (path === '') return run.deadline ? { ...run, deadline: { ...run.deadline, fired: true } } : run;
    return atStep(run, path, (step) => {
      if (!isOpen(step)) return step;
      if (purpose === 'timeout') return step.deadline ? { ...step, deadline: { ...step.deadline, fired: true } } : step;
      return step.state === 'sleeping' || step.state === 'resting'
        ? { ...step, timer: { ...step.timer, fired: true } }
        : step;
    });
  },
  'workflow.step_completed': (run, { path, output }) => ended(run, path, { state: 'completed', output }),
  'workflow.error': (run, { path, output, error, continued }) =>
    ended(run, path, { state: 'failed', output, error, continued }),
} satisfies Evolvers;

/** A step of a frame; names that every object has are no steps. */
export const stepIn = (frame: Frame, id: string): StepState | undefined =>
  Object.hasOwn(frame, id) ? frame[id] : undefined;

export const isOpen = (step: StepState | undefined): step is StepState & Open =>
  step !== undefined && step.state !== 'completed' && step.state !== 'failed' && step.state !== 'skipped';

/** What an open step keeps, whatever it turns into; the first sight of a step begins it. */
const opened = (step: StepState | undefined, timestamp: string): Open =>
  isOpen(step)
    ? { startedAt: step.startedAt, attempt: step.attempt, deadline: step.deadline }
    : { startedAt: timestamp, attempt: 1, deadline: undefined };

type Change = (step: StepState | undefined) => StepState | undefined;

function atStep(run: StartedRun, path: string, change: Change): StartedRun {
  return { ...run, steps: inFrame(run.steps, placeOf(path), 0, change) };
}

const ended = (run: StartedRun, path: string, end: StepState): StartedRun => ({
  ...atStep(run, path, () => end),
  ends: run.ends + 1,
});

/** Copies only what lies on the way, so that a loop over a thousand items is not copied for each of them. */
function inFrame(frame: Frame, place: Place, depth: number, change: Change): Frame {
  const { id, index } = place[depth]!;
  const step = stepIn(frame, id);
  if (depth === place.length - 1) {
    // A step that has come to its end stays there: nothing that was under way elsewhere can open it again.
    if (step !== undefined && !isOpen(step)) return frame;
    const changed = change(step);
    return changed === undefined ? frame : { ...frame, [id]: changed };
  }
  if (step?.state !== 'looping' || index === undefined) return frame;
  const item = step.items[index] ?? emptyItem;
  const steps = inFrame(item.steps, place, depth + 1, change);
  return { ...frame, [id]: { ...step, items: replaced(step.items, index, { ...item, steps }) } };
}

function replaced(items: readonly Item[], index: number, item: Item): readonly Item[] {
  const copy = items.slice();
  while (copy.length < index) copy.push(emptyItem);
  copy[index] = item;
  return copy;
}
