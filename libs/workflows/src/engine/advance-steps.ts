import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Step } from '../language/definition.js';
import { kindOf, nestedIn } from '../steps/registry.js';
import { failureOf } from '../steps/step-failure.js';
import { evaluating, plain } from '../steps/step-input.js';
import type {
  Attempt,
  AttemptResult,
  OwnData,
  Pass,
  Progress,
  RequestOutcome,
  StepDecision,
} from '../steps/step-kind.js';
import {
  type OpenStep,
  type RunFailure,
  stepIn,
  type StepState,
  type StepStates,
  type TimerPurpose,
} from '../steps/step-state.js';
import type { RunDecision } from './run-decision.js';
import { frameOf, innerFrame, passIn, scopeOf, type ScopeFrame, stepsIn } from './scope.js';
import { pathOf } from './step-path.js';

/** Each claim reads the whole stream of a run: without a limit, loops inside loops would make it endless. */
const MAX_RUN_STEPS = 5000;
const MAX_STEPS_AND_RECOVERY = MAX_RUN_STEPS + 500;

/** Goes through steps from the first, passes over those that have ended, and decides what can be decided now. */
export function advance(decision: RunDecision, steps: readonly Step[], frame: ScopeFrame): Progress {
  for (const step of steps) {
    const progress = advanceStep(new DecidedStep(decision, step, frame));
    if (progress !== 'done') return progress;
  }
  return 'done';
}

/** An attempt has ended. It may have been given up meanwhile: then the step has ended, and nothing happens. */
export function endAttempt(decision: RunDecision, result: AttemptResult): void {
  const { step, path } = result.attempt;
  const decided = new DecidedStep(decision, step, frameOf(path));
  if (decided.open)
    decided.guarded(() => {
      kindOf(step).attemptEnded?.(step, decided, result);
      return 'open';
    });
}

function advanceStep(decided: DecidedStep): Progress {
  const { run: decision, step, path } = decided;
  const before = decided.state;
  if (before !== undefined && before.status !== 'open')
    return before.status === 'failed' && !before.continued ? { failed: before.error } : 'done';
  if (decision.isLong) {
    decision.isUnfinished = true;
    return 'open';
  }
  const most = decision.run.failing ? MAX_STEPS_AND_RECOVERY : MAX_RUN_STEPS;
  if (before === undefined && decision.run.ends >= most)
    return { failed: { code: 'run.too_long', message: `A run must have at most ${MAX_RUN_STEPS} steps.`, path } };
  return decided.guarded(() => {
    const kind = kindOf(step);
    if (before === undefined) {
      if (step.condition && !evaluating(() => step.condition!.test(decided.scope()))) {
        decided.record('run.step_skipped', {});
        return 'done';
      }
      if (step.timeoutMs !== undefined && kind.pace === 'lasting') decided.setTimer('timeout', step.timeoutMs);
    }
    const progress = kind.decide(step, decided);
    if (progress !== 'open') return progress;
    if (kind.pace === 'lasting' && decided.state === undefined)
      throw new Error(`${kind.name} left the step open and recorded no event about it`);
    return decided.unlessOverdue();
  });
}

/** One step of a run, as its kind sees it. */
class DecidedStep implements StepDecision {
  readonly path: string;
  /** What was pending before this step: when the step fails, everything in it is given up. */
  private readonly pendingBefore = this.run.pending;

  constructor(
    readonly run: RunDecision,
    readonly step: Step,
    private readonly frame: ScopeFrame,
  ) {
    this.path = pathOf(frame.prefix, step.id);
  }

  get runId(): string {
    return this.run.identity.runId;
  }

  get start(): StepDecision['start'] {
    return this.run.run.start;
  }

  get now(): Date {
    return this.run.world.now;
  }

  get state(): StepState | undefined {
    return stepIn(stepsIn(this.run.run, this.frame), this.step.id);
  }

  get open(): OpenStep | undefined {
    const { state } = this;
    return state?.status === 'open' ? state : undefined;
  }

  scope(): Record<string, unknown> {
    return scopeOf(this.run.run, this.run.world.event, this.frame);
  }

  record<T extends EventType>(type: T, data: OwnData<T>): void {
    const identity = { ...this.run.identity, path: this.path, stepId: this.step.id };
    const known = catalogue[type].data.properties;
    const own = Object.entries(identity).filter(([key]) => Object.hasOwn(known, key));
    this.run.record(type, { ...Object.fromEntries(own), ...data });
  }

  append({ subject, ...event }: Parameters<StepDecision['append']>[0]): void {
    this.run.append({ ...event, ...(subject === undefined ? {} : { subject }) });
  }

  setTimer(purpose: TimerPurpose, length: number): void {
    this.run.setTimer(this.path, purpose, length);
  }

  isDue(purpose: TimerPurpose): boolean {
    const timer = purpose === 'timeout' ? this.open?.deadline : this.open?.timer;
    return timer !== undefined && this.run.isDue(this.path, purpose, timer);
  }

  outcomeOf(requestId: Uuid): RequestOutcome | undefined {
    return this.run.outcomeOf(requestId);
  }

  canAttempt(): boolean {
    if (this.run.world.attempting !== 'leave') return true;
    this.run.isUnfinished = true;
    return false;
  }

  get isAttempting(): boolean {
    const { attempting } = this.run.world;
    return attempting !== 'leave' && attempting.has(this.path);
  }

  attempt(attempt: Omit<Attempt, 'path' | 'step'>): void {
    this.run.attempt({ path: this.path, step: this.step, ...attempt });
  }

  advance(steps: readonly Step[]): Progress {
    return advance(this.run, steps, this.frame);
  }

  pass(index: number, item: unknown): Pass {
    return new DecidedPass(this.run, innerFrame(this.frame, this.step.id, index, item));
  }

  completed(output: unknown): Progress {
    this.record('workflow.step_completed', {
      output: plain(output, 'step.output_too_large'),
      ...this.spent(),
    });
    return 'done';
  }

  failed(error: RunFailure, output: unknown = null): Progress {
    const continued = this.step.onError === 'continue';
    this.run.pending = this.pendingBefore;
    this.record('workflow.error', { error, output, ...this.spent(), continued });
    return continued ? 'done' : { failed: error };
  }

  private spent(): { attempts: number; startedAt: string } {
    const { attempt = 1, startedAt = this.now.toISOString() } = this.open ?? {};
    return { attempts: attempt, startedAt };
  }

  /** What a kind throws fails the step. */
  guarded(decide: () => Progress): Progress {
    try {
      return decide();
    } catch (error) {
      return this.failed(failureOf(error, this.path), error instanceof StepError ? error.output : null);
    }
  }

  /** A step that is still open may have run out of time. */
  unlessOverdue(): Progress {
    if (!this.isDue('timeout')) return 'open';
    return this.failed({ code: 'step.timeout', message: 'The step took longer than its time limit.', path: this.path });
  }
}

class DecidedPass implements Pass {
  constructor(
    private readonly decision: RunDecision,
    private readonly frame: ScopeFrame,
  ) {}

  get isDone(): boolean {
    return passIn(this.decision.run, this.frame).done;
  }

  get isBegun(): boolean {
    return Object.keys(passIn(this.decision.run, this.frame).steps).length > 0;
  }

  scope(): Record<string, unknown> {
    return scopeOf(this.decision.run, this.decision.world.event, this.frame);
  }

  advance(steps: readonly Step[]): Progress {
    return advance(this.decision, steps, this.frame);
  }

  lastOutput(steps: readonly Step[]): unknown {
    return lastOutput(steps, passIn(this.decision.run, this.frame).steps);
  }
}

/** Of the last step in the text that has one; what is inside a step with shared scope counts in its place. */
function lastOutput(steps: readonly Step[], states: StepStates): unknown {
  for (const step of steps.toReversed()) {
    const { lists, isShared } = nestedIn(step);
    const state = stepIn(states, step.id);
    if (isShared) {
      for (const list of lists.toReversed()) {
        const output = lastOutput(list, states);
        if (output !== null) return output;
      }
    } else if (state?.status === 'completed' || (state?.status === 'failed' && state.output !== null))
      return state.output;
  }
  return null;
}
