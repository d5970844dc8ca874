import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { RunStatus } from '#libs/events/src/shapes/run-shape.js';

import { stepEvents } from '../steps/registry.js';
import {
  itemIn,
  opened,
  type RunFailure,
  stepIn,
  type StepState,
  type StepStates,
  type TimerState,
  withItem,
} from '../steps/kind/step-state.js';
import { parsePath, type StepPath } from './step-path.js';

/**
 * One execution of a workflow, folded from its stream.
 *
 * `unknown` until `workflow.started`; `queued` while others of its concurrency key are under way; then `running` or
 * `waiting` (nothing to do until a time, or until an outcome); ends as `completed`, `failed`, `cancelled` or `skipped`
 * (never began), and stays so. While it lives it is in one of three phases: the steps, after a failure the steps of
 * `onFailure`, and in the end the steps of `finally`.
 */
export type RunState = { readonly status: 'unknown' } | StartedRun;

export type RunStart = DataOf<'workflow.started'>;

/** How a run ends. */
export type Ending = Omit<DataOf<'run.finally_started'>, 'runId'>;

export interface StartedRun {
  readonly status: RunStatus;
  /** Nothing is appended after the end. */
  readonly ended: boolean;
  readonly start: RunStart;
  readonly startedAt: string;
  readonly steps: StepStates;
  /** What `uses: set` has set. */
  readonly vars: Readonly<Record<string, unknown>>;
  /** How many steps have ended, those inside loops too. */
  readonly ends: number;
  /** Why the steps failed; from then on `onFailure` runs. */
  readonly failing: RunFailure | undefined;
  /** How the run will end, once the steps of `finally` are over. */
  readonly ending: Ending | undefined;
  /** The run's own time limit; during `finally`, that of its steps. */
  readonly deadline: TimerState | undefined;
}

export const unknownRun: RunState = { status: 'unknown' };

/** A fact about a run, as drafted or as recorded. */
export interface RunFact {
  readonly type: string;
  readonly data: unknown;
  /** RFC 3339 UTC: when it was recorded. */
  readonly timestamp: string;
}

/** The run after a fact. Pure and total: facts that do not concern it leave it as it is. */
export function evolve(run: RunState, { type, data, timestamp }: RunFact): RunState {
  if (run.status === 'unknown') {
    if (type !== 'workflow.started') return run;
    return {
      status: 'running',
      ended: false,
      start: data as RunStart,
      startedAt: timestamp,
      steps: {},
      vars: {},
      ends: 0,
      failing: undefined,
      ending: undefined,
      deadline: undefined,
    };
  }
  const own = evolvers[type as keyof typeof evolvers] as
    ((run: StartedRun, data: unknown, timestamp: string) => StartedRun) | undefined;
  if (own) return own(run, data, timestamp);
  const event = stepEvents.get(type);
  if (!event) return run;
  return atStep(run, (data as { path: string }).path, (step) => {
    const open = opened(step, timestamp);
    return event.evolve?.(open, data as DataOf<EventType>) ?? open;
  });
}

/** Everything that a stream of facts says about its run. */
export const foldRun = (facts: Iterable<RunFact>): RunState => {
  let run: RunState = unknownRun;
  for (const fact of facts) run = evolve(run, fact);
  return run;
};

type Evolvers = {
  readonly [T in EventType]?: (run: StartedRun, data: DataOf<T>, timestamp: string) => StartedRun;
};

/** What every kind of step has, and the run itself; what a kind records of its own is in its file. */
const evolvers = {
  'workflow.status_changed': (run, { to }) => ({ ...run, status: to }),
  'workflow.completed': (run) => ({ ...run, ended: true }),
  'workflow.failed': (run) => ({ ...run, ended: true }),
  'workflow.skipped': (run) => ({ ...run, ended: true }),
  'run.cancelled': (run) => ({ ...run, ended: true }),
  'run.recovery_started': (run, { error }) => ({ ...run, failing: error }),
  'run.finally_started': (run, { runId: _, ...ending }) => ({ ...run, ending, deadline: undefined }),
  'run.timer_set': (run, { path, purpose, at }, timestamp) => {
    const timer: TimerState = { at, fired: false };
    if (path === '') return { ...run, deadline: timer };
    return atStep(run, path, (step) => ({
      ...opened(step, timestamp),
      ...(purpose === 'timeout' ? { deadline: timer } : { timer }),
    }));
  },
  'run.timer_fired': (run, { path, purpose }) => {
    if (path === '') return run.deadline ? { ...run, deadline: { ...run.deadline, fired: true } } : run;
    return atStep(run, path, (step) => {
      if (step?.status !== 'open') return step;
      const { deadline, timer } = step;
      if (purpose === 'timeout') return deadline ? { ...step, deadline: { ...deadline, fired: true } } : step;
      return timer ? { ...step, timer: { ...timer, fired: true } } : step;
    });
  },
  'run.vars_set': (run, { values }) => ({ ...run, vars: { ...run.vars, ...values } }),
  'run.step_skipped': (run, { path }) => ended(run, path, { status: 'skipped' }),
  'workflow.step_completed': (run, { path, output }) => ended(run, path, { status: 'completed', output }),
  'workflow.error': (run, { path, output, error, continued }) =>
    ended(run, path, { status: 'failed', output, error, continued }),
} satisfies Evolvers;

type Change = (step: StepState | undefined) => StepState | undefined;

function atStep(run: StartedRun, path: string, change: Change): StartedRun {
  return { ...run, steps: changed(run.steps, parsePath(path), 0, change) };
}

const ended = (run: StartedRun, path: string, end: StepState): StartedRun => ({
  ...atStep(run, path, () => end),
  ends: run.ends + 1,
});

/** Copies only what lies on the way, so that a loop over a thousand items is not copied for each of them. */
function changed(steps: StepStates, path: StepPath, depth: number, change: Change): StepStates {
  const { id, index } = path[depth]!;
  const step = stepIn(steps, id);
  if (depth === path.length - 1) {
    // A step that has ended stays so: nothing that was under way elsewhere can open it again.
    if (step !== undefined && step.status !== 'open') return steps;
    const after = change(step);
    return after === undefined ? steps : { ...steps, [id]: after };
  }
  if (step?.status !== 'open' || index === undefined) return steps;
  const item = itemIn(step, index);
  const inside = changed(item.steps, path, depth + 1, change);
  return { ...steps, [id]: { ...step, items: withItem(step.items, index, { ...item, steps: inside }) } };
}
