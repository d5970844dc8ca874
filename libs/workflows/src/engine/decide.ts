import type { Step } from '../language/definition.js';
import { failure, failureOf } from '../steps/kind/step-failure.js';
import { plain } from '../steps/kind/step-input.js';
import type { Attempt, AttemptResult, Progress } from '../steps/kind/step-kind.js';
import { advance, endAttempt } from './advance-steps.js';
import { RunDecision, type RunDraft, type World } from './run-decision.js';
import type { Ending, StartedRun } from './run-state.js';
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
  'run.cancelled',
  'run.recovery_started',
  'run.finally_started',
  'run.rested',
  'run.request_withdrawn',
  'workflow.near_limit',
] as const;

/**
 * What happens next in a run. Pure: the same run in the same world gives the same events.
 * @param results attempts that have ended since the last decision.
 */
export function decide(run: StartedRun, world: World, results: readonly AttemptResult[] = []): Decision {
  const decision = new RunDecision(run, world);
  if (!run.ended) {
    for (const result of results) endAttempt(decision, result);
    if (run.held === undefined) proceed(decision);
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
  if (decision.run.status === 'queued') decision.setStatus('running');
  const { finally: last } = decision.world.definition;
  const ending = decision.run.ending ?? endOfSteps(decision);
  if (ending === undefined) return rest(decision);
  if (last === undefined) return end(decision, ending);
  if (decision.run.ending === undefined) {
    decision.dropPending();
    decision.record('run.finally_started', { runId: decision.identity.runId, ...ending });
  }
  const progress = advanceInTime(decision, last.steps, last.timeoutMs);
  if (progress === 'open') return rest(decision);
  const isSpoilt = progress !== 'done' && ending.to === 'completed';
  end(decision, isSpoilt ? { to: 'failed', error: progress.failed } : ending);
}

/** How the run ends as far as its steps and those of `onFailure` say; `undefined` while they are not over. */
function endOfSteps(decision: RunDecision): Ending | undefined {
  const { definition } = decision.world;
  if (decision.run.failing === undefined) {
    const progress = advanceInTime(decision, definition.steps, definition.timeoutMs);
    if (progress === 'open') return undefined;
    const ending: Ending = progress === 'done' ? completion(decision) : { to: 'failed', error: progress.failed };
    if (ending.error === undefined || definition.onFailure.length === 0) return ending;
    decision.dropPending();
    decision.record('run.recovery_started', { runId: decision.identity.runId, error: ending.error });
  }
  if (advance(decision, definition.onFailure, rootFrame) === 'open') return undefined;
  return { to: 'failed', error: decision.run.failing! };
}

/** Steps, as long as their time is not over. What can still be done at the last moment is done. */
function advanceInTime(decision: RunDecision, steps: readonly Step[], timeoutMs: number | undefined): Progress {
  if (decision.run.deadline === undefined && timeoutMs !== undefined) decision.setTimer('', 'timeout', timeoutMs);
  const overdue = { failed: failure('run.timeout', 'The run took longer than its time limit.') };
  if (decision.run.deadline?.fired) return overdue;
  const progress = advance(decision, steps, rootFrame);
  if (decision.tooLong) return { failed: decision.tooLong };
  const { deadline } = decision.run;
  return progress === 'open' && deadline && decision.isDue('', 'timeout', deadline) ? overdue : progress;
}

/** The outputs, or why they cannot be computed. */
function completion({ run, world }: RunDecision): Ending {
  try {
    const rendered = world.definition.outputs?.render(scopeOf(run, world, rootFrame)) ?? {};
    return { to: 'completed', outputs: plain(rendered, 'run.outputs_too_large') as Record<string, unknown> };
  } catch (error) {
    const { path: _, message, ...rest } = failureOf(error, '');
    return { to: 'failed', error: { ...rest, message: `The outputs cannot be computed: ${message}` } };
  }
}

function end(decision: RunDecision, { to, outputs = {}, error, by = '' }: Ending): void {
  const { startedAt } = decision.run;
  decision.dropPending();
  if (to === 'completed') decision.record('workflow.completed', { ...decision.identity, outputs, startedAt });
  else if (error) decision.record('workflow.failed', { ...decision.identity, error, startedAt });
  else decision.record('run.cancelled', { runId: decision.identity.runId, by });
  decision.setStatus(to);
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
    ...(decision.run.concurrency?.whileWaiting === 'release' && { released: true as const }),
  });
}
