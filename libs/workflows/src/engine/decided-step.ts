import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Step } from '../language/definition.js';
import { kindOf, nestedIn, withShared } from '../steps/registry.js';
import { failureOf } from '../steps/kind/step-failure.js';
import { MAX_VALUE_BYTES, plain } from '../steps/kind/step-input.js';
import type {
  ApprovalLink,
  FindOwnType,
  Attempt,
  OwnData,
  Pass,
  Progress,
  RequestOutcome,
  StepDecision,
  StepsResult,
} from '../steps/kind/step-kind.js';
import {
  type OpenStep,
  type RunFailure,
  stepIn,
  type StepState,
  type StepStates,
  type TimerPurpose,
} from '../steps/kind/step-state.js';
import { openRequests } from './open-requests.js';
import type { RunDecision } from './run-decision.js';
import { innerFrame, passIn, scopeOf, type ScopeFrame, stepsIn } from './scope.js';
import { pathOf } from './step-path.js';

/** Takes steps as far as they go; given to the steps that hold others. */
export type Advance = (decision: RunDecision, steps: readonly Step[], frame: ScopeFrame) => Progress;

const IDENTITY = ['runId', 'workflowId', 'workflow', 'path', 'stepId'] as const;
const identities = new Map<EventType, readonly (typeof IDENTITY)[number][]>();

/** What events of a type name of the run and the step. */
function identityOf(type: EventType): readonly (typeof IDENTITY)[number][] {
  let keys = identities.get(type);
  if (!keys)
    identities.set(type, (keys = IDENTITY.filter((key) => Object.hasOwn(catalogue[type].data.properties, key))));
  return keys;
}

/** One step of a run, as its kind sees it. */
export class DecidedStep implements StepDecision {
  readonly path: string;
  readonly kind = kindOf(this.step);
  /** What was pending before this step: when the step ends, everything in it is given up. */
  private readonly pendingBefore = this.decision.pending;

  constructor(
    readonly decision: RunDecision,
    readonly step: Step,
    private readonly frame: ScopeFrame,
    private readonly goThrough: Advance,
  ) {
    this.path = pathOf(frame.prefix, step.id);
  }

  get runId(): string {
    return this.decision.identity.runId;
  }

  get start(): StepDecision['start'] {
    return this.decision.run.start;
  }

  get now(): Date {
    return this.decision.world.now;
  }

  get state(): StepState | undefined {
    return stepIn(stepsIn(this.decision.run, this.frame), this.step.id);
  }

  get open(): OpenStep | undefined {
    const { state } = this;
    return state?.status === 'open' ? state : undefined;
  }

  scope(): Record<string, unknown> {
    return scopeOf(this.decision.run, this.decision.world, this.frame);
  }

  record<T extends EventType>(type: T, data: OwnData<T>): void {
    const identity = { ...this.decision.identity, path: this.path, stepId: this.step.id };
    const own: Record<string, unknown> = {};
    for (const key of identityOf(type)) own[key] = identity[key];
    this.decision.record(type, { ...own, ...data });
  }

  append({ subject, ...event }: Parameters<StepDecision['append']>[0]): void {
    this.decision.append({ ...event, ...(subject === undefined ? {} : { subject }) });
  }

  idOf(purpose: string): Uuid {
    const { retries } = this.decision.run;
    const { attempt = 1 } = this.open ?? {};
    const which = [...(retries > 0 ? [String(retries)] : []), ...(attempt > 1 ? ['attempt', String(attempt)] : [])];
    return uuid5(purpose, this.runId, this.path, ...which);
  }

  noteLimit(limit: 'items' | 'output', value: number, max: number): void {
    this.decision.noteLimit(limit, value, max, this.path);
  }

  setTimer(purpose: TimerPurpose, length: number): void {
    this.decision.setTimer(this.path, purpose, length);
  }

  isDue(purpose: TimerPurpose): boolean {
    const timer = purpose === 'timeout' ? this.open?.deadline : this.open?.timer;
    return timer !== undefined && this.decision.isDue(this.path, purpose, timer);
  }

  outcomeOf(requestId: Uuid): RequestOutcome | undefined {
    return this.decision.outcomeOf(requestId);
  }

  /** The step waits for a worker. */
  isLeft = false;

  canAttempt(): boolean {
    return this.decision.world.attempting !== 'leave' || this.leave();
  }

  canSign(): boolean {
    return typeof this.decision.world.attempting !== 'string' || this.leave();
  }

  private leave(): false {
    this.decision.isUnfinished = true;
    this.isLeft = true;
    return false;
  }

  get isAttempting(): boolean {
    const { attempting } = this.decision.world;
    return typeof attempting !== 'string' && attempting.has(this.path);
  }

  get ownType(): FindOwnType | undefined {
    return this.decision.world.ownType;
  }

  approvalLinks(about: ApprovalLink): { readonly approve: string; readonly reject: string } | undefined {
    const sign = this.decision.world.signLink;
    return sign && { approve: sign('approve', about), reject: sign('reject', about) };
  }

  attempt(attempt: Omit<Attempt, 'path' | 'step' | 'round'>): void {
    const { failing, ending, retries, versionRetry } = this.decision.run;
    const round = failing || ending ? retries : versionRetry;
    this.decision.attempt({ path: this.path, step: this.step, round, ...attempt });
  }

  advance(steps: readonly Step[]): Progress {
    return this.goThrough(this.decision, steps, this.frame);
  }

  resultOf(steps: readonly Step[]): StepsResult {
    return resultOf(steps, stepsIn(this.decision.run, this.frame));
  }

  pass(index: number, item: unknown): Pass {
    return new DecidedPass(this.decision, innerFrame(this.frame, this.step.id, index, item), this.goThrough);
  }

  completed(output: unknown): Progress {
    this.decision.pending = this.pendingBefore;
    const kept = plain(output, 'step.output_too_large', (bytes) => this.noteLimit('output', bytes, MAX_VALUE_BYTES));
    this.giveUp();
    this.record('workflow.step_completed', { output: kept, ...this.spent() });
    return 'done';
  }

  failed(error: RunFailure, output: unknown = null): Progress {
    const continued = this.step.onError === 'continue';
    this.decision.pending = this.pendingBefore;
    this.giveUp();
    this.record('workflow.error', { error, output, ...this.spent(), continued });
    return continued ? 'done' : { failed: error };
  }

  retryAfter(delay: number, failed: Omit<OwnData<'run.attempt_failed'>, 'retryAt'>): Progress {
    this.decision.pending = this.pendingBefore;
    this.giveUp();
    this.record('run.attempt_failed', { ...failed, retryAt: timeAfter(this.now, delay).toISOString() });
    this.setTimer('retry', delay);
    return 'open';
  }

  /** Withdraws what the step, and the steps inside it, still wait for. */
  private giveUp(): void {
    const states = stepsIn(this.decision.run, this.frame);
    const own = withShared([this.step]).flatMap(({ id }): [string, StepState][] => {
      const state = stepIn(states, id);
      return state ? [[id, state]] : [];
    });
    this.decision.withdraw(openRequests(Object.fromEntries(own), this.frame.prefix));
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

  /** Has the engine watch the time limit of a step that is open. It begins again with each attempt, not with the delay before. */
  watchTime(): void {
    const { timeoutMs } = this.step;
    if (timeoutMs === undefined || this.kind.pace !== 'lasting' || this.open?.deadline !== undefined) return;
    if (this.open?.timer?.fired !== false) this.setTimer('timeout', timeoutMs);
  }

  /** A step that is still open may have run out of time. */
  unlessOverdue(): Progress {
    if (!this.isDue('timeout')) return 'open';
    const message = 'The step took longer than its time limit.';
    const progress = this.fail(new StepError({ code: 'step.timeout', message, retryable: true }));
    // Another attempt follows: the next decision sees when.
    if (progress === 'open') this.decision.isUnfinished = true;
    return progress;
  }

  fail(error: StepError): Progress {
    const { kind, step, path } = this;
    return kind.fail?.(step, this, error) ?? this.failed(failureOf(error, path), error.output ?? null);
  }
}

class DecidedPass implements Pass {
  constructor(
    private readonly decision: RunDecision,
    private readonly frame: ScopeFrame,
    private readonly goThrough: Advance,
  ) {}

  get isDone(): boolean {
    return passIn(this.decision.run, this.frame).done;
  }

  get isBegun(): boolean {
    return Object.keys(passIn(this.decision.run, this.frame).steps).length > 0;
  }

  scope(): Record<string, unknown> {
    return scopeOf(this.decision.run, this.decision.world, this.frame);
  }

  advance(steps: readonly Step[]): Progress {
    return this.goThrough(this.decision, steps, this.frame);
  }

  resultOf(steps: readonly Step[]): StepsResult {
    return resultOf(steps, passIn(this.decision.run, this.frame).steps);
  }
}

function resultOf(steps: readonly Step[], states: StepStates): StepsResult {
  const ended = steps.map(({ id }) => stepIn(states, id));
  const failed = ended.find((state) => state?.status === 'failed' && !state.continued);
  if (failed?.status === 'failed') return { status: 'failed', output: null, error: failed.error };
  const isSkipped = ended.every((state) => state?.status === 'skipped');
  return { status: isSkipped ? 'skipped' : 'completed', output: lastOutput(steps, states), error: null };
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
