import type { Uuid } from '#libs/kernel/src/ids.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Step } from '../language/definition.js';
import type { RequestOutcome, StepResult } from '../steps/kind/step-kind.js';
import { advance } from './advance-steps.js';
import { DecidedStep } from './decided-step.js';
import { RunDecision, type RunDraft, type World } from './run-decision.js';
import type { StartedRun } from './run-state.js';
import { frameOf } from './scope.js';

/** Tells that there is an outcome; what it is, the test says. */
const ANSWERED = {} as RequestOutcome;

/** Answers a request of a step that waits, with a result from outside: a test says it in place of the world. */
export function settleStep(
  run: StartedRun,
  { definition, event, now }: Pick<World, 'definition' | 'event' | 'now'>,
  step: Step,
  path: string,
  requestId: Uuid,
  result: StepResult,
): { readonly run: StartedRun; readonly drafts: readonly RunDraft[] } {
  const outcomes = new Map([[requestId, ANSWERED]]);
  const decision = new RunDecision(run, { definition, event, now, outcomes, attempting: 'leave' });
  const decided = new DecidedStep(decision, step, frameOf(path), advance);
  // An earlier attempt is not heard.
  if (decided.open?.awaiting.includes(requestId))
    decided.guarded(() => {
      if ('output' in result) return decided.completed(result.output);
      if (result.thrown instanceof StepError) return decided.fail(result.thrown);
      throw result.thrown;
    });
  return { run: decision.run, drafts: decision.drafts };
}
