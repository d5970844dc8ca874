import type { Step } from '../language/definition.js';
import { failure } from '../steps/kind/step-failure.js';
import { evaluating } from '../steps/kind/step-input.js';
import type { AttemptResult, Progress } from '../steps/kind/step-kind.js';
import { DecidedStep } from './decided-step.js';
import type { RunDecision } from './run-decision.js';
import { frameOf, type ScopeFrame } from './scope.js';

/** Loops inside loops would make a run endless, and its state is held in memory. */
export const MAX_RUN_STEPS = 5000;
/** For each of `onFailure` and `finally`. */
const MORE_STEPS = 500;

/** Goes through steps from the first, passes over those that have ended, and decides what can be decided now. */
export function advance(decision: RunDecision, steps: readonly Step[], frame: ScopeFrame): Progress {
  for (const step of steps) {
    const progress = advanceStep(new DecidedStep(decision, step, frame, advance));
    if (progress !== 'done') return progress;
  }
  return 'done';
}

/** An attempt has ended. It may have been given up meanwhile: then the step has ended, and nothing happens. */
export function endAttempt(decision: RunDecision, result: AttemptResult): void {
  const { step, path } = result.attempt;
  const decided = new DecidedStep(decision, step, frameOf(path), advance);
  if (decided.open)
    decided.guarded(() => {
      decided.kind.attemptEnded?.(step, decided, result);
      return 'open';
    });
}

function advanceStep(decided: DecidedStep): Progress {
  const { decision, step, path } = decided;
  const before = decided.state;
  if (before !== undefined && before.status !== 'open')
    return before.status === 'failed' && !before.continued ? { failed: before.error } : 'done';
  if (decision.isLong) {
    decision.isUnfinished = true;
    return 'open';
  }
  const { failing, ending } = decision.run;
  const most = MAX_RUN_STEPS + (failing ? MORE_STEPS : 0) + (ending ? MORE_STEPS : 0);
  if (before === undefined && !failing && !ending) decision.noteLimit('steps', decision.run.ends, MAX_RUN_STEPS);
  if (before === undefined && decision.run.ends >= most)
    decision.tooLong ??= failure('run.too_long', `A run must have at most ${MAX_RUN_STEPS} steps.`, path);
  if (decision.tooLong) return { failed: decision.tooLong };
  return decided.guarded(() => {
    const { kind } = decided;
    if (before === undefined) {
      if (step.disabled || (step.condition && !evaluating(() => step.condition!.test(decided.scope())))) {
        decided.record('run.step_skipped', {});
        return 'done';
      }
    }
    // Also of a step that a retry has opened again.
    decided.watchTime();
    const progress = kind.decide(step, decided);
    if (progress !== 'open') return progress;
    if (kind.pace === 'lasting' && decided.state === undefined && !decided.isLeft)
      throw new Error(`${kind.name} left the step open and recorded no event about it`);
    if (decided.open) decided.watchTime();
    return decided.unlessOverdue();
  });
}
