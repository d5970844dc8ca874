import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Step } from '../language/definition.js';
import type { StepResult } from '../steps/kind/step-kind.js';
import { failureOf } from '../steps/kind/step-failure.js';
import { advance } from './advance-steps.js';
import { DecidedStep } from './decided-step.js';
import { RunDecision, type RunDraft, type World } from './run-decision.js';
import type { StartedRun } from './run-state.js';
import { frameOf } from './scope.js';

/** Ends a step that waits, with a result from outside: a test says it in place of the world. */
export function settleStep(
  run: StartedRun,
  { definition, event, now }: Pick<World, 'definition' | 'event' | 'now'>,
  step: Step,
  path: string,
  result: StepResult,
): { readonly run: StartedRun; readonly drafts: readonly RunDraft[] } {
  const decision = new RunDecision(run, { definition, event, now, outcomes: new Map(), attempting: 'leave' });
  const decided = new DecidedStep(decision, step, frameOf(path), advance);
  if (decided.open) {
    if ('output' in result) decided.completed(result.output);
    else
      decided.failed(failureOf(result.thrown, path), result.thrown instanceof StepError ? result.thrown.output : null);
  }
  return { run: decision.run, drafts: decision.drafts };
}
