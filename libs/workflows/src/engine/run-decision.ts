import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { beginning } from '#libs/kernel/src/text.js';
import { timeAfter } from '#libs/kernel/src/times.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Definition, EffectfulStep, Step } from '../language/definition.js';
import type { Outcome } from './outcome.js';
import { evolve, isOpen, type RunFailure, type RunStatus, type StartedRun, stepIn, type StepState } from './run.js';
import { frameOf, type Room, scopeOf } from './scope.js';
import { plain } from './step-input.js';

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
export type Progress = 'done' | 'open' | { readonly failed: RunFailure };

/** A turn ends after so much, so that an append stays small; the next turn goes on. */
const MAX_DRAFTS = 200;
const MAX_BYTES = 256 * 1024;

/**
 * What one turn of a run has come to so far. Every decision is recorded and folded at once, so that the next one sees it,
 * and so that walking the steps again after a crash takes the same way.
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
    readonly world: World,
  ) {}

  /** Folds a fact at once. */
  record<T extends EventType>(type: T, data: DataOf<T>, more: { id?: Uuid } = {}): void {
    this.push({ type, data: data, ...more });
  }

  push(draft: RunDraft): void {
    this.drafts.push(draft);
    this.bytes += JSON.stringify(draft.data).length + 500;
    this.run = evolve(this.run, { ...draft, timestamp: this.world.now.toISOString() }) as StartedRun;
  }

  get isLong(): boolean {
    return this.drafts.length >= MAX_DRAFTS || this.bytes >= MAX_BYTES;
  }

  /** Identity of the run, as the lifecycle events carry it. */
  get of() {
    const { runId, workflowId, workflow } = this.run.start;
    return { runId, workflowId, workflow };
  }

  scope(room: Room) {
    return scopeOf(this.run, this.world.event, room);
  }

  stateOf(step: Step, room: Room): StepState | undefined {
    return stepIn(frameOf(this.run, room), step.id);
  }

  timer(path: string, purpose: DataOf<'run.timer_set'>['purpose'], length: number): void {
    const at = timeAfter(this.world.now, length).toISOString();
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

/** An error of a step, in the words of the run. Anything but a StepError is a mistake in the step's own code. */
export function failureOf(error: unknown, path: string): RunFailure {
  if (error instanceof StepError) return { code: error.code, message: error.message, path };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'step.bug', message: beginning(`The step broke: ${message}`, 2000), path };
}
