import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import { eventIdOf, type PlatformEvent } from '#libs/events/src/envelope.js';
import { tryParseDuration } from '#libs/kernel/src/durations.js';
import { uuid5, type Uuid } from '#libs/kernel/src/ids.js';
import { unreachable } from '#libs/kernel/src/unreachable.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type {
  ComputedStep,
  Definition,
  EffectfulStep,
  EmitStep,
  ForEachStep,
  RedeliverStep,
  Step,
  SwitchStep,
  WaitStep,
} from './definition.js';
import { emitted } from './emitted.js';
import { engineSteps } from './engine-steps.js';
import { MAX_ITEMS } from './grammar.js';
import { type Outcome, redelivered } from './outcome.js';
import { itemPath, pathOf } from './place.js';
import { evolve, isOpen, type RunFailure, type RunStatus, type StartedRun, stepIn, type StepState } from './run.js';
import { frameOf, itemOf, type Room, scopeOf } from './scope.js';
import { evaluating, inputFor, plain } from './step-input.js';
import { isTime } from './step-reader.js';

/** What a decision depends on besides the run itself. */
export interface World {
  readonly definition: Definition;
  readonly now: Date;
  /** The event that led to the run. */
  readonly event: PlatformEvent | undefined;
  /** Outcomes that have come in, by the id of the request. */
  readonly outcomes: ReadonlyMap<Uuid, Outcome>;
  /**
   * Paths of the attempts that the caller is busy with, so that others which the stream shows as under way are known to
   * have lost their process; `'leave'` if the caller does no effects: steps that have some are left for another.
   */
  readonly effects: ReadonlySet<string> | 'leave';
}

/** A fact to be recorded. */
export interface RunDraft {
  readonly type: string;
  readonly data: object;
  /** Where others refer to the event before it is recorded. */
  readonly id?: Uuid;
  readonly subject?: string;
}

/** An attempt that is under way, or is to begin once the facts are recorded. */
export interface Attempt {
  readonly path: string;
  readonly step: EffectfulStep;
  readonly attempt: number;
  readonly input: unknown;
}

/** How far one look at the steps got. */
type Progress = 'done' | 'open' | { readonly failed: RunFailure };

/** A turn ends after so much, so that an append stays small; the next turn goes on. */
const MAX_DRAFTS = 200;
const MAX_BYTES = 256 * 1024;

/**
 * One turn of a run: walks the steps from the start, passes over what is done, and does what can be done now. Every
 * decision is recorded and folded at once, so that the next one sees it, and so that walking again after a crash takes
 * the same way.
 */
export class Turn {
  readonly drafts: RunDraft[] = [];
  /** All attempts under way, old and new. */
  readonly attempts: Attempt[] = [];
  /** When there is something to do next; `undefined` if only an outcome can wake the run. */
  until: Date | undefined;
  /** Requests whose outcome is waited for. */
  readonly awaiting: Uuid[] = [];
  /** The turn ended because it was long enough, or because a step was left for somebody else. */
  unfinished = false;
  private bytes = 0;

  constructor(
    public run: StartedRun,
    private readonly world: World,
  ) {}

  /** Folds a fact at once. */
  record<T extends EventType>(type: T, data: DataOf<T>, more: { id?: Uuid } = {}): void {
    this.push({ type, data: data as object, ...more });
  }

  private push(draft: RunDraft): void {
    this.drafts.push(draft);
    this.bytes += JSON.stringify(draft.data).length + 500;
    this.run = evolve(this.run, { ...draft, timestamp: this.world.now.toISOString() }) as StartedRun;
  }

  /** Identity of the run, as the lifecycle events carry it. */
  get of() {
    const { runId, workflowId, workflow } = this.run.start;
    return { runId, workflowId, workflow };
  }

  list(steps: readonly Step[], room: Room): Progress {
    for (const step of steps) {
      const progress = this.step(step, room);
      if (progress !== 'done') return progress;
    }
    return 'done';
  }

  private step(step: Step, room: Room): Progress {
    const path = pathOf(room.prefix, step.id);
    const before = this.stateOf(step, room);
    if (before !== undefined && !isOpen(before))
      return before.state === 'failed' && !before.continued ? { failed: before.error } : 'done';
    if (this.drafts.length >= MAX_DRAFTS || this.bytes >= MAX_BYTES) {
      this.unfinished = true;
      return 'open';
    }
    try {
      if (before === undefined) {
        if (step.condition && !evaluating(() => step.condition!.test(this.scope(room)))) {
          this.record('run.step_skipped', { runId: this.of.runId, path, stepId: step.id });
          return 'done';
        }
        // The time limit of an effect is watched by whoever does it, for each attempt by itself.
        if (step.timeoutMs !== undefined && step.kind !== 'effect' && step.kind !== 'pure' && step.kind !== 'emit')
          this.timer(path, 'timeout', step.timeoutMs);
      }
      const progress = this.kind(step, room, path);
      return progress === 'open' ? this.limited(step, room, path) : progress;
    } catch (error) {
      return this.failed(step, room, path, failureOf(error, path), error instanceof StepError ? error.output : null);
    }
  }

  private kind(step: Step, room: Room, path: string): Progress {
    switch (step.kind) {
      case 'pure':
        return this.computed(step, room, path);
      case 'effect':
        return this.effect(step, room, path);
      case 'emit':
        return this.emit(step, room, path);
      case 'redeliver':
        return this.redeliver(step, room, path);
      case 'wait':
        return this.wait(step, room, path);
      case 'switch':
        return this.switch(step, room, path);
      case 'forEach':
        return this.forEach(step, room, path);
      default:
        return unreachable(step);
    }
  }

  private computed(step: ComputedStep, room: Room, path: string): Progress {
    const output = step.uses.run(inputFor(step.input, step.uses.inputSchema, this.scope(room)));
    return this.completed(step, room, path, output);
  }

  private effect(step: EffectfulStep, room: Room, path: string): Progress {
    const { effects } = this.world;
    if (effects === 'leave') {
      this.unfinished = true;
      return 'open';
    }
    const { runId } = this.of;
    const state = this.stateOf(step, room);
    if (state?.state === 'attempting') {
      const { attempt, input } = state;
      if (!effects.has(path)) this.record('run.step_resumed', { runId, path, attempt });
      this.attempts.push({ path, step, attempt, input });
      return 'open';
    }
    if (state?.state === 'resting' && !this.due(path, 'retry', state.timer)) return 'open';
    const attempt = state !== undefined && isOpen(state) ? state.attempt : 1;
    const input = inputFor(step.input, step.uses.inputSchema, this.scope(room));
    this.record('run.step_started', { runId, path, stepId: step.id, attempt, input });
    this.attempts.push({ path, step, attempt, input });
    return 'open';
  }

  private emit(step: EmitStep, room: Room, path: string): Progress {
    const { type, subject, data } = emitted(inputFor(step.input, engineSteps['emit']!.inputSchema, this.scope(room)));
    const id = uuid5('run-emit', this.of.runId, path);
    // In the run's own stream: one append, so that the event and the step's end are there together or not at all.
    this.push({ type, data, id, ...(subject === undefined ? {} : { subject }) });
    return this.completed(step, room, path, { eventId: eventIdOf(id) });
  }

  private redeliver(step: RedeliverStep, room: Room, path: string): Progress {
    const state = this.stateOf(step, room);
    if (state?.state === 'awaiting') {
      const outcome = this.world.outcomes.get(state.requestId);
      if (outcome) return this.completed(step, room, path, redelivered(outcome));
      this.awaiting.push(state.requestId);
      return 'open';
    }
    const { runId } = this.of;
    const input = inputFor(step.input, engineSteps['redeliver_webhook']!.inputSchema, this.scope(room));
    const requestId = uuid5('run-request', runId, path);
    this.record(
      'webhook.redelivery_requested',
      {
        requestedBy: { kind: 'run', runId, stepId: path },
        deliveryId: String(input['delivery']),
        afterMs: tryParseDuration(typeof input['after'] === 'string' ? input['after'] : '0ms') ?? 0,
      },
      { id: requestId },
    );
    this.record('run.step_awaiting', { runId, path, stepId: step.id, requestId, input });
    this.awaiting.push(requestId);
    return 'open';
  }

  private wait(step: WaitStep, room: Room, path: string): Progress {
    if (this.stateOf(step, room)?.state !== 'sleeping') this.timer(path, 'wait', this.lengthOf(step, room));
    const state = this.stateOf(step, room);
    if (state?.state !== 'sleeping' || !this.due(path, 'wait', state.timer)) return 'open';
    return this.completed(step, room, path, { until: state.timer.at });
  }

  /** Milliseconds; a time that is over is no wait at all. */
  private lengthOf(step: WaitStep, room: Room): number {
    const given = evaluating(() => (step.for ?? step.until)!.render(this.scope(room)));
    const text = typeof given === 'string' ? given.trim() : '';
    if (step.for === undefined && isTime(text)) return Math.max(0, Date.parse(text) - this.world.now.getTime());
    const length = step.for === undefined ? undefined : tryParseDuration(text);
    if (length !== undefined) return length;
    throw new StepError({
      code: 'wait.bad_time',
      message: `${JSON.stringify(given)} is not ${step.for ? 'a duration such as 30s or 5m' : 'a time such as 2026-11-20T09:00:00Z'}.`,
      retryable: false,
    });
  }

  private switch(step: SwitchStep, room: Room, path: string): Progress {
    if (this.stateOf(step, room)?.state !== 'branching') {
      const scope = this.scope(room);
      const taken = step.cases.findIndex((one) => evaluating(() => one.condition?.test(scope) ?? true));
      this.record('run.branch_taken', { runId: this.of.runId, path, stepId: step.id, case: taken });
    }
    const state = this.stateOf(step, room);
    const branch = state?.state === 'branching' ? state.branch : -1;
    const progress = this.list(step.cases[branch]?.steps ?? [], room);
    if (progress === 'done') return this.completed(step, room, path, { case: branch < 0 ? null : branch });
    return progress === 'open' ? 'open' : this.failed(step, room, path, progress.failed, null);
  }

  private forEach(step: ForEachStep, room: Room, path: string): Progress {
    const items = this.itemsOf(step, room);
    if (this.stateOf(step, room)?.state !== 'looping')
      this.record('run.loop_entered', { runId: this.of.runId, path, stepId: step.id, count: items.length });
    let open = 0;
    for (const [index, item] of items.entries()) {
      const inner: Room = { prefix: itemPath(path, index), outer: room, loop: step.id, index, item };
      const { done, steps } = itemOf(this.run, inner);
      if (done) continue;
      const begun = Object.keys(steps).length > 0;
      if (!begun && (open >= step.concurrency || this.stopped(step, room))) continue;
      const progress = this.list(step.steps, inner);
      if (progress === 'open') open++;
      else if (progress !== 'done') return this.failed(step, room, path, progress.failed, null);
      else {
        const stop = step.until !== undefined && evaluating(() => step.until!.test(this.scope(inner)));
        this.record('run.item_completed', { runId: this.of.runId, path, index, stop });
      }
    }
    if (open > 0) return 'open';
    return this.completed(step, room, path, { results: this.resultsOf(step, room), stopped: this.stopped(step, room) });
  }

  private itemsOf(step: ForEachStep, room: Room): readonly unknown[] {
    const items = evaluating(() => step.items.render(this.scope(room)));
    if (!Array.isArray(items))
      throw new StepError({
        code: 'loop.no_list',
        message: 'forEach was given something that is no list.',
        retryable: false,
      });
    if (items.length > MAX_ITEMS)
      throw new StepError({
        code: 'loop.too_long',
        message: `forEach was given ${items.length} items; at most ${MAX_ITEMS} are allowed.`,
        retryable: false,
      });
    return items as unknown[];
  }

  private stopped(step: ForEachStep, room: Room): boolean {
    const state = this.stateOf(step, room);
    return state?.state === 'looping' && state.stop;
  }

  /** Of each item that was done: the output of the last of its steps that has one. */
  private resultsOf(step: ForEachStep, room: Room): unknown[] {
    const state = this.stateOf(step, room);
    if (state?.state !== 'looping') return [];
    return state.items.filter(({ done }) => done).map(({ steps }) => lastOutput(step.steps, steps));
  }

  scope(room: Room) {
    return scopeOf(this.run, this.world.event, room);
  }

  stateOf(step: Step, room: Room): StepState | undefined {
    return stepIn(frameOf(this.run, room), step.id);
  }

  timer(path: string, purpose: DataOf<'run.timer_set'>['purpose'], length: number): void {
    // Beyond this, dates are no dates any more.
    const at = new Date(Math.min(this.world.now.getTime() + length, 8.64e15 - 1)).toISOString();
    this.record('run.timer_set', { runId: this.of.runId, path, purpose, at });
  }

  /** Whether a timer's time has come; if so that is recorded, once. Otherwise the run will be woken then. */
  due(path: string, purpose: DataOf<'run.timer_set'>['purpose'], timer: { at: string; fired: boolean }): boolean {
    if (timer.fired) return true;
    const at = new Date(timer.at);
    if (at > this.world.now) {
      if (this.until === undefined || at < this.until) this.until = at;
      return false;
    }
    this.record('run.timer_fired', { runId: this.of.runId, path, purpose });
    return true;
  }

  /** A step that is not done yet may have run out of time. */
  private limited(step: Step, room: Room, path: string): Progress {
    const state = this.stateOf(step, room);
    if (state === undefined || !isOpen(state) || state.deadline === undefined) return 'open';
    if (!this.due(path, 'timeout', state.deadline)) return 'open';
    const message = 'The step took longer than its time limit.';
    return this.failed(step, room, path, { code: 'step.timeout', message, path }, null);
  }

  completed(step: Step, room: Room, path: string, output: unknown): Progress {
    this.record('workflow.step_completed', {
      ...this.of,
      path,
      stepId: step.id,
      output: plain(output, 'step.output_too_large'),
      ...this.spent(step, room),
    });
    return 'done';
  }

  failed(step: Step, room: Room, path: string, error: RunFailure, output: unknown): Progress {
    const continued = step.onError === 'continue';
    this.giveUp(step, room, path);
    this.record('workflow.error', {
      ...this.of,
      path,
      stepId: step.id,
      error,
      output,
      ...this.spent(step, room),
      continued,
    });
    return continued ? 'done' : { failed: error };
  }

  /** What is under way inside a step that has failed is stopped where it is. */
  private giveUp(step: Step, room: Room, path: string): void {
    if (step.kind !== 'forEach' && step.kind !== 'switch') return;
    const prefix = step.kind === 'forEach' ? `${path}[` : room.prefix === '' ? '' : `${room.prefix}.`;
    const kept = this.attempts.filter((one) => !one.path.startsWith(prefix) || !belongsTo(step, one.step));
    this.attempts.splice(0, this.attempts.length, ...kept);
  }

  private spent(step: Step, room: Room): { attempts: number; startedAt: string } {
    const state = this.stateOf(step, room);
    return state !== undefined && isOpen(state)
      ? { attempts: state.attempt, startedAt: state.startedAt }
      : { attempts: 1, startedAt: this.world.now.toISOString() };
  }

  status(to: RunStatus): void {
    if (this.run.status !== to) this.record('workflow.status_changed', { ...this.of, from: this.run.status, to });
  }
}

const belongsTo = (container: Step, step: Step): boolean => {
  switch (container.kind) {
    case 'forEach':
      return container.steps.some((inner) => inner === step || belongsTo(inner, step));
    case 'switch':
      return container.cases.some(({ steps }) => steps.some((inner) => inner === step || belongsTo(inner, step)));
    default:
      return container === step;
  }
};

/** Of the last step in the text that completed, in a case that was taken too. */
function lastOutput(steps: readonly Step[], frame: Readonly<Record<string, StepState>>): unknown {
  for (const step of steps.toReversed()) {
    const state = stepIn(frame, step.id);
    if (step.kind === 'switch') {
      for (const { steps: inner } of step.cases.toReversed()) {
        const output = lastOutput(inner, frame);
        if (output !== null) return output;
      }
    } else if (state?.state === 'completed' || (state?.state === 'failed' && state.output !== null))
      return state.output;
  }
  return null;
}

/** An error of a step, in the words of the run. Anything but a StepError is a mistake in the step's own code. */
export function failureOf(error: unknown, path: string): RunFailure {
  if (error instanceof StepError) return { code: error.code, message: error.message, path };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'step.bug', message: `The step broke: ${message}`.slice(0, 2000), path };
}
