import type { PlatformEvent } from '#libs/events/src/envelope.js';

import { itemIn, type ItemState, stepIn, type StepState, type StepStates } from '../steps/kind/step-state.js';
import type { StartedRun } from './run-state.js';
import { itemPath, parsePath, pathOf } from './step-path.js';

/** Where steps stand: the steps of the workflow, or one pass through the steps inside another. */
export interface ScopeFrame {
  /** Path of the pass, or empty. */
  readonly prefix: string;
  readonly outer: ScopeFrame | undefined;
  /** Id of the step in the outer frame that holds these. */
  readonly holder: string;
  readonly index: number;
  readonly item: unknown;
}

export const rootFrame: ScopeFrame = { prefix: '', outer: undefined, holder: '', index: 0, item: null };

export const innerFrame = (outer: ScopeFrame, holder: string, index: number, item: unknown): ScopeFrame => ({
  prefix: itemPath(pathOf(outer.prefix, holder), index),
  outer,
  holder,
  index,
  item,
});

/** The frame in which the step of a path stands. Without its items: nothing can be evaluated in it. */
export const frameOf = (path: string): ScopeFrame =>
  parsePath(path)
    .slice(0, -1)
    .reduce((frame, { id, index }) => innerFrame(frame, id, index ?? 0, null), rootFrame);

/** The steps of a frame so far. */
export const stepsIn = (run: StartedRun, frame: ScopeFrame): StepStates =>
  frame.outer === undefined ? run.steps : passIn(run, frame).steps;

/** The pass that a frame is, so far. */
export const passIn = (run: StartedRun, { outer, holder, index }: ScopeFrame): ItemState =>
  itemIn(outer && stepIn(stepsIn(run, outer), holder), index);

/** What expressions of a step see. */
export function scopeOf(
  run: StartedRun,
  { event, events }: { readonly event: PlatformEvent | undefined; readonly events?: readonly PlatformEvent[] },
  frame: ScopeFrame,
): Record<string, unknown> {
  const { runId, workflow, version, inputs, settings } = run.start;
  return {
    event: event ?? null,
    ...(events && { events }),
    inputs,
    steps: visibleSteps(run, frame),
    vars: run.vars,
    run: { id: runId, workflow, version, startedAt: run.startedAt, ...(run.ending && { status: run.ending.to }) },
    settings,
    ...(run.ending ? { error: run.ending.error ?? null } : run.failing && { error: run.failing }),
    ...(frame.outer === undefined ? {} : { item: frame.item, index: frame.index }),
  };
}

/** Steps of the frame and of those around it. Ids are unique in a workflow, so none hides another. */
function visibleSteps(run: StartedRun, frame: ScopeFrame): Record<string, unknown> {
  const visible = frame.outer === undefined ? {} : visibleSteps(run, frame.outer);
  for (const [id, step] of Object.entries(stepsIn(run, frame))) {
    const shown = shownAs(step);
    if (shown) visible[id] = shown;
  }
  return visible;
}

function shownAs(step: StepState): object | undefined {
  switch (step.status) {
    case 'completed':
      return { status: 'completed', output: step.output, error: null };
    case 'failed':
      return { status: 'failed', output: step.output, error: step.error };
    case 'skipped':
      return { status: 'skipped', output: null, error: null };
    case 'open':
      return undefined;
  }
}
