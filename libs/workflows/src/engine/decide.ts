import { failureOf } from '../steps/kind/step-failure.js';
import { plain } from '../steps/kind/step-input.js';
import type { Attempt, AttemptResult, Progress } from '../steps/kind/step-kind.js';
import type { RunFailure } from '../steps/kind/step-state.js';
import { advance, endAttempt } from './advance-steps.js';
import { RunDecision, type RunDraft, type World } from './run-decision.js';
import type { StartedRun } from './run-state.js';
import { rootFrame, scopeOf } from './scope.js';

/** What is to be recorded, and what to do then. */
export interface Decision {
  /** The run after the events. */
  readonly run: StartedRun;
  readonly drafts: readonly RunDraft[];
  /** All attempts under way once the events are recorded. The caller begins those that are new and stops those that are missing. */
  readonly attempts: readonly Attempt[];
  /** There is more to decide at once: decide again after the append. */
  readonly isUnfinished: boolean;
  /** Nothing to do before this time; `undefined` if no timer runs. */
  readonly until: Date | undefined;
}

/** Types that a decision may append besides those of its steps. */
export const RUN_EVENT_TYPES = [
  'workflow.status_changed',
  'workflow.completed',
  'workflow.failed',
  'run.recovery_started',
  'run.rested',
] as const;

/**
 * What happens next in a run. Pure: the same run in the same world gives the same events.
 * @param results attempts that have ended since the last decision.
 */
export function decide(run: StartedRun, world: World, results: readonly AttemptResult[] = []): Decision {
  const decision = new RunDecision(run, world);
  if (!run.ended) {
    for (const result of results) endAttempt(decision, result);
    proceed(decision);
  }
  const { drafts, pending, isUnfinished } = decision;
  return {
    run: decision.run,
    drafts,
    attempts: decision.run.ended ? [] : pending.attempts,
    isUnfinished,
    until: pending.until,
  };
}

function proceed(decision: RunDecision): void {
  const { definition } = decision.world;
  if (decision.run.deadline === undefined && definition.timeoutMs !== undefined)
    decision.setTimer('', 'timeout', definition.timeoutMs);
  if (decision.run.failing === undefined) {
    const progress = advanceInTime(decision);
    if (progress === 'open') return rest(decision);
    const failure = progress === 'done' ? complete(decision) : progress.failed;
    if (failure === undefined) return;
    decision.dropPending();
    decision.tooLong = undefined;
    if (definition.onFailure.length === 0) return fail(decision, failure);
    decision.record('run.recovery_started', { runId: decision.identity.runId, error: failure });
  }
  if (advance(decision, definition.onFailure, rootFrame) === 'open') return rest(decision);
  fail(decision, decision.run.failing!);
}

/** The steps, as long as the run's own time is not over. What can still be done at the last moment is done. */
function advanceInTime(decision: RunDecision): Progress {
  const overdue = { failed: { code: 'run.timeout', message: 'The run took longer than its time limit.' } };
  if (decision.run.deadline?.fired) return overdue;
  let progress = advance(decision, decision.world.definition.steps, rootFrame);
  if (decision.tooLong) progress = { failed: decision.tooLong };
  const { deadline } = decision.run;
  return progress === 'open' && deadline && decision.isDue('', 'timeout', deadline) ? overdue : progress;
}

/** @returns why the run fails in the end. */
function complete(decision: RunDecision): RunFailure | undefined {
  const { run, world } = decision;
  try {
    const rendered = world.definition.outputs?.render(scopeOf(run, world.event, rootFrame)) ?? {};
    const outputs = plain(rendered, 'run.outputs_too_large') as Record<string, unknown>;
    decision.record('workflow.completed', { ...decision.identity, outputs, startedAt: run.startedAt });
    decision.setStatus('completed');
    return undefined;
  } catch (error) {
    const { code, message } = failureOf(error, '');
    return { code, message: `The outputs cannot be computed: ${message}` };
  }
}

function fail(decision: RunDecision, error: RunFailure): void {
  decision.record('workflow.failed', { ...decision.identity, error, startedAt: decision.run.startedAt });
  decision.setStatus('failed');
  decision.dropPending();
}

/** Nothing more can be decided now. */
function rest(decision: RunDecision): void {
  if (decision.isUnfinished) return;
  const { attempts, until, awaiting } = decision.pending;
  if (attempts.length > 0) return decision.setStatus('running');
  decision.setStatus('waiting');
  decision.record('run.rested', {
    runId: decision.identity.runId,
    ...(until && { until: until.toISOString() }),
    awaiting: [...awaiting],
  });
}
