import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { RunStatus } from '#libs/events/src/shapes/run-shape.js';

import { requestTypes, stepEvents } from '../steps/registry.js';
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
 * `waiting` (nothing to do until a time, or until an outcome); `paused` and `blocked` until it is resumed; ends as `completed`, `failed`, `cancelled` or `skipped`
 * (never began), and stays so. While it lives it is in one of three phases: the steps, after a failure the steps of
 * `onFailure`, and in the end the steps of `finally`.
 */
export type RunState = { readonly status: 'unknown' } | StartedRun;

export type RunStart = DataOf<'workflow.started'>;

/** How a run ends. */
export type Ending = Omit<DataOf<'run.finally_started'>, 'runId'>;

export interface StartedRun {
  readonly status: RunStatus;
  /** Nothing is appended after the end but a retry. */
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
  /** Nothing new begins: it was paused, or processes died again and again at the same step. */
  readonly held: 'paused' | 'blocked' | undefined;
  /** How many processes in a row died with it since a step last ended. */
  readonly crashes: number;
  /** Limits of which it was said that the run is near. */
  readonly near: readonly string[];
  /** How often it was retried. */
  readonly retries: number;
  /** The requests that asked for it, as far as they have names. */
  readonly retriedBy: readonly string[];
  /** The retry that took it to another version; 0 where none did. */
  readonly versionRetry: number;
  /** Set if it shares a limit with others; of the last retry. */
  readonly concurrency: RunStart['concurrency'];
  /** It gave its place to another run while it waits. */
  readonly released: boolean;
  /** How often it asked for a place again since it was started or retried. */
  readonly wakes: number;
  /** The run's own time limit; during `finally`, that of its steps. */
  readonly deadline: TimerState | undefined;
}

/**
 * Raise it when `evolve`, also of a kind of step, makes another state of the same events: snapshots of runs that an older
 * version wrote are then ignored.
 */
export const FOLD_VERSION = 4;

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
      held: undefined,
      crashes: 0,
      near: [],
      retries: 0,
      retriedBy: [],
      versionRetry: 0,
      concurrency: (data as RunStart).concurrency,
      released: false,
      wakes: 0,
      deadline: undefined,
    };
  }
  const own = evolvers[type as keyof typeof evolvers] as
    ((run: StartedRun, data: unknown, timestamp: string) => StartedRun) | undefined;
  if (own) return own(run, data, timestamp);
  const event = stepEvents.get(type);
  if (!event) return requestTypes.has(type) ? requested(run, type, data as Request, timestamp) : run;
  return atStep(run, (data as { path: string }).path, (step) => {
    const open = opened(step, timestamp);
    return event.evolve?.(open, data as DataOf<EventType>) ?? open;
  });
}

type Request = Partial<DataOf<'webhook.redelivery_requested'>>;

/** Requests come right before the event by which their step waits for the outcome. */
function requested(run: StartedRun, type: string, { requestedBy, deliveryId }: Request, timestamp: string): StartedRun {
  if (requestedBy?.kind !== 'run' || requestedBy.runId !== run.start.runId) return run;
  const request = { type, ...(deliveryId !== undefined && { deliveryId }) };
  return atStep(run, requestedBy.stepId, (step) => ({ ...opened(step, timestamp), requested: request }));
}

/** Everything that a stream of facts says about its run. @param from what earlier facts said. */
export const foldRun = (facts: Iterable<RunFact>, from: RunState = unknownRun): RunState => {
  let run = from;
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
  'run.finally_started': (run, { runId: _, ...ending }) => ({ ...run, ending, deadline: undefined, held: undefined }),
  'run.paused': (run) => ({ ...run, held: 'paused' }),
  'run.blocked': (run) => ({ ...run, held: 'blocked' }),
  'run.resumed': (run) => ({ ...run, held: undefined, crashes: 0 }),
  'run.crashed': (run) => ({ ...run, crashes: run.crashes + 1 }),
  'workflow.near_limit': (run, { limit }) => ({ ...run, near: [...run.near, limit] }),
  'run.timer_set': (run, { path, purpose, at }, timestamp) => {
    const timer: TimerState = { at, fired: false };
    if (path === '') return { ...run, deadline: timer };
    return atStep(run, path, (step) => ({
      ...opened(step, timestamp),
      ...(purpose === 'timeout' ? { deadline: timer } : { timer }),
    }));
  },
  'run.request_withdrawn': (run, { path, requestId }) =>
    path === undefined
      ? run
      : atStep(run, path, (step) =>
          step?.status === 'open' ? { ...step, awaiting: step.awaiting.filter((id) => id !== requestId) } : step,
        ),
  'run.timer_fired': (run, { path, purpose }) => {
    if (path === '') return run.deadline ? { ...run, deadline: { ...run.deadline, fired: true } } : run;
    return atStep(run, path, (step) => {
      if (step?.status !== 'open') return step;
      const { deadline, timer } = step;
      if (purpose === 'timeout') return deadline ? { ...step, deadline: { ...deadline, fired: true } } : step;
      return timer ? { ...step, timer: { ...timer, fired: true } } : step;
    });
  },
  'run.step_reused': (run, { path, status, output, error, values = {} }) => ({
    ...ended(run, path, () => endOf(status, output, error)),
    vars: { ...run.vars, ...values },
  }),
  'run.retried': (run, { version, forget, reopen, concurrency, request }) => ({
    ...retried(run, version, forget, reopen),
    retriedBy: request === undefined ? run.retriedBy : [...run.retriedBy, request],
    concurrency,
    released: false,
    wakes: 0,
  }),
  'run.rested': (run, { released = false }) => ({ ...run, released }),
  'run.woken': (run) => ({ ...run, released: false, wakes: run.wakes + 1 }),
  'run.vars_set': (run, { values }) => ({ ...run, vars: { ...run.vars, ...values } }),
  'run.step_skipped': (run, { path }) => ended(run, path, () => ({ status: 'skipped' })),
  'workflow.step_completed': (run, { path, output }) => ended(run, path, () => ({ status: 'completed', output })),
  'workflow.error': (run, { path, output, error, continued }) =>
    ended(run, path, (step) => {
      const before = step?.status === 'open' ? step : undefined;
      return { status: 'failed', output, error, continued, before };
    }),
} satisfies Evolvers;

function endOf(status: 'completed' | 'failed' | 'skipped', output: unknown, error: RunFailure | undefined): StepState {
  if (status === 'skipped') return { status };
  if (status === 'failed' && error) return { status, output, error, continued: true, before: undefined };
  return { status: 'completed', output };
}

type Change = (step: StepState | undefined) => StepState | undefined;

function atStep(run: StartedRun, path: string, change: Change): StartedRun {
  return { ...run, steps: changed(run.steps, parsePath(path), 0, change) };
}

const ended = (run: StartedRun, path: string, end: (step: StepState | undefined) => StepState): StartedRun => ({
  ...atStep(run, path, end),
  ends: run.ends + 1,
  crashes: 0,
});

/** The run after a retry: what failed is as if it had not begun, and what holds such steps is open again. */
function retried(
  run: StartedRun,
  version: string | undefined,
  forget: readonly string[],
  reopen: readonly string[],
): StartedRun {
  const retries = run.retries + 1;
  let { steps } = run;
  // Outer steps come first: only what is open has an inside.
  for (const path of reopen) steps = changed(steps, parsePath(path), 0, openAgain, true);
  for (const path of forget) steps = changed(steps, parsePath(path), 0, () => undefined, true);
  return {
    ...run,
    ended: false,
    steps,
    retries,
    ...(version !== undefined && { start: { ...run.start, version }, versionRetry: retries }),
    failing: undefined,
    ending: undefined,
    deadline: undefined,
    crashes: 0,
  };
}

/** Time limits start again: earlier ones may have passed. */
function openAgain(step: StepState | undefined): StepState | undefined {
  const before = step?.status === 'failed' ? step.before : step;
  return before?.status === 'open' ? { ...before, deadline: undefined, timer: undefined } : undefined;
}

/**
 * Copies only what lies on the way, so that a loop over a thousand items is not copied for each of them.
 * @param isRetry whether steps that have ended may change, and are gone where nothing is left of them.
 */
function changed(steps: StepStates, path: StepPath, depth: number, change: Change, isRetry = false): StepStates {
  const { id, index } = path[depth]!;
  const step = stepIn(steps, id);
  if (depth === path.length - 1) {
    // A step that has ended stays so: nothing that was under way elsewhere can open it again.
    if (step !== undefined && step.status !== 'open' && !isRetry) return steps;
    const after = change(step);
    if (after !== undefined) return { ...steps, [id]: after };
    if (!isRetry) return steps;
    const { [id]: _, ...rest } = steps;
    return rest;
  }
  if (step?.status !== 'open' || index === undefined) return steps;
  const item = itemIn(step, index);
  const inside = changed(item.steps, path, depth + 1, change, isRetry);
  return { ...steps, [id]: { ...step, items: withItem(step.items, index, { ...item, steps: inside }) } };
}
