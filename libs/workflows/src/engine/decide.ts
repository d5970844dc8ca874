import { timeAfter } from '#libs/kernel/src/times.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { walk } from './advance-steps.js';
import { delayAfter } from './retry.js';
import { type Attempt, failureOf, type Progress, type RunDraft, Turn, type World } from './run-decision.js';
import type { RunFailure, StartedRun } from './run.js';
import { type Room, rootRoom } from './scope.js';
import { plain } from './step-input.js';
import { itemPath, pathOf, placeOf } from './step-path.js';

/** How an attempt ended. */
export type Report =
  | { readonly attempt: Attempt; readonly output: unknown }
  /** What the step threw. */
  | { readonly attempt: Attempt; readonly thrown: unknown };

/** What is to be recorded, and what to do then. */
export interface Decision {
  /** The run after the facts. */
  readonly run: StartedRun;
  readonly drafts: readonly RunDraft[];
  /** All attempts under way once the facts are recorded. The caller begins those that are new and stops those that are missing. */
  readonly attempts: readonly Attempt[];
  /** There is more to decide at once: take another turn after the append. */
  readonly unfinished: boolean;
  /** Nothing to do before this time; `undefined` if no timer runs. */
  readonly until: Date | undefined;
}

/**
 * What happens next in a run. Pure: the same run in the same world gives the same facts.
 * @param reports attempts that have ended since the last decision.
 */
export function decide(run: StartedRun, world: World, reports: readonly Report[] = []): Decision {
  const turn = new Turn(run, world);
  if (!run.ended) {
    for (const report of reports) settle(turn, world, report);
    proceed(turn, world);
  }
  const { drafts, attempts, until, unfinished } = turn;
  return { run: turn.run, drafts, attempts: turn.run.ended ? [] : attempts, unfinished, until };
}

function proceed(turn: Turn, world: World): void {
  const { definition } = world;
  if (turn.run.deadline === undefined && definition.timeoutMs !== undefined)
    turn.timer('', 'timeout', definition.timeoutMs);
  if (turn.run.failing === undefined) {
    const progress = inTime(turn, world);
    if (progress === 'open') return rest(turn);
    const failure = progress === 'done' ? complete(turn, world) : progress.failed;
    if (failure === undefined) return;
    turn.attempts.length = 0;
    turn.awaiting.length = 0;
    if (definition.onFailure.length === 0) return fail(turn, failure);
    turn.record('run.recovery_started', { runId: turn.of.runId, error: failure });
    turn.until = undefined;
  }
  if (walk(turn, definition.onFailure, rootRoom) === 'open') return rest(turn);
  fail(turn, turn.run.failing!);
}

/** The steps, as long as the run's own time is not over. What can still be done at the last moment is done. */
function inTime(turn: Turn, world: World): Progress {
  const overdue = { failed: { code: 'run.timeout', message: 'The run took longer than its time limit.' } };
  if (turn.run.deadline?.fired) return overdue;
  const progress = walk(turn, world.definition.steps, rootRoom);
  const { deadline } = turn.run;
  return progress === 'open' && deadline && turn.due('', 'timeout', deadline) ? overdue : progress;
}

function complete(turn: Turn, { definition }: World): RunFailure | undefined {
  try {
    const rendered = definition.outputs?.render(turn.scope(rootRoom)) ?? {};
    const outputs = plain(rendered, 'run.outputs_too_large') as Record<string, unknown>;
    turn.record('workflow.completed', { ...turn.of, outputs, startedAt: turn.run.startedAt });
    turn.status('completed');
    return undefined;
  } catch (error) {
    const { code, message } = failureOf(error, '');
    return { code, message: `The outputs cannot be computed: ${message}` };
  }
}

function fail(turn: Turn, error: RunFailure): void {
  turn.record('workflow.failed', { ...turn.of, error, startedAt: turn.run.startedAt });
  turn.status('failed');
  turn.attempts.length = 0;
}

/** Nothing more can be decided now. */
function rest(turn: Turn): void {
  if (turn.unfinished) return;
  if (turn.attempts.length > 0) return turn.status('running');
  turn.status('waiting');
  turn.record('run.rested', {
    runId: turn.of.runId,
    ...(turn.until && { until: turn.until.toISOString() }),
    awaiting: turn.awaiting,
  });
}

/** The end of an attempt: the step is done, tries again later, or has failed for good. */
function settle(turn: Turn, world: World, report: Report): void {
  const { attempt } = report;
  const { step, path } = attempt;
  const room = roomOf(path);
  const state = turn.stateOf(step, room);
  // Given up in the meantime, or taken over by another process: what it brought is not wanted any more.
  if (state?.state !== 'attempting' || state.attempt !== attempt.attempt) return;
  if ('output' in report) {
    try {
      turn.completed(step, room, path, report.output);
    } catch (error) {
      turn.failed(step, room, path, failureOf(error, path), null);
    }
    return;
  }
  const { thrown } = report;
  const error = failureOf(thrown, path);
  const output = thrown instanceof StepError ? safely(thrown.output) : null;
  const retryable = thrown instanceof StepError && thrown.retryable;
  const { retry } = step;
  if (!retryable || retry === undefined || attempt.attempt >= retry.maxAttempts) {
    turn.failed(step, room, path, error, output);
    return;
  }
  const { runId } = turn.of;
  const retryAfter = thrown.retryAfter;
  const delay = delayAfter(retry, attempt.attempt, retryAfter, runId, path);
  const retryAt = timeAfter(world.now, delay).toISOString();
  turn.record('run.attempt_failed', { runId, path, attempt: attempt.attempt, error, output, retryAt });
  turn.record('run.timer_set', { runId, path, purpose: 'retry', at: retryAt });
}

const safely = (output: unknown): unknown => {
  try {
    return plain(output, 'step.output_too_large');
  } catch {
    return null;
  }
};

/** The room that a path lies in. Items are not needed where nothing is evaluated. */
function roomOf(path: string): Room {
  let room = rootRoom;
  for (const { id, index } of placeOf(path).slice(0, -1)) {
    const prefix = itemPath(pathOf(room.prefix, id), index ?? 0);
    room = { prefix, outer: room, loop: id, index: index ?? 0, item: null };
  }
  return room;
}
