import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { RunStatus } from '#libs/events/src/shapes/run-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';

import type { Definition } from '../language/definition.js';
import type { ApprovalLink, Attempt, FindOwnType, RequestOutcome } from '../steps/kind/step-kind.js';
import type { RunFailure, TimerPurpose, TimerState } from '../steps/kind/step-state.js';
import { type OpenRequest, openRequests } from './open-requests.js';
import { evolve, type StartedRun } from './run-state.js';

/** What a decision depends on besides the run itself. */
export interface World {
  readonly definition: Definition;
  readonly now: Date;
  /** The event that led to the run. */
  readonly event: PlatformEvent | undefined;
  /** All events that led to it, where they are many; `event` is the last of them. */
  readonly events?: readonly PlatformEvent[];
  /** Outcomes that have come in, by the id of the request. */
  readonly outcomes: ReadonlyMap<Uuid, RequestOutcome>;
  /**
   * Paths of the attempts that the caller is busy with: others that the stream shows as under way have lost their process.
   * `'leave'` if the caller makes no attempts: steps that need one are left for a worker. `'begin'` if a worker follows that begins
   * them: only steps that need a signed link are left to it.
   */
  readonly attempting: ReadonlySet<string> | 'leave' | 'begin';
  /** Signs a link to an approval. */
  readonly signLink?: SignLink;
  readonly ownType?: FindOwnType;
}

export type SignLink = (decision: 'approve' | 'reject', about: ApprovalLink) => string;

/** An event to be recorded. */
export interface RunDraft {
  readonly type: string;
  readonly data: object;
  /** Where others refer to the event before it is recorded. */
  readonly id?: Uuid;
  readonly subject?: string;
  /** Of a type of the organisation's own. */
  readonly schemaVersion?: number;
}

/** A decision ends after so much, so that an append stays small; the next one goes on. */
const MAX_DRAFTS = 200;
const MAX_BYTES = 256 * 1024;

/** What a run waits for, and what is under way in it. */
interface Pending {
  readonly attempts: readonly Attempt[];
  readonly awaiting: readonly Uuid[];
  readonly until: Date | undefined;
}

const NOTHING: Pending = { attempts: [], awaiting: [], until: undefined };

/**
 * What the next append of a run holds so far. Every event is folded at once, so that what is decided next sees it, and so
 * that deciding again after a crash comes to the same.
 */
export class RunDecision {
  readonly drafts: RunDraft[] = [];
  pending: Pending = NOTHING;
  /** The decision ended because it was long enough, or because a step was left to a worker. */
  isUnfinished = false;
  /** The run has too many steps, which no step can pass over. */
  tooLong: RunFailure | undefined;
  private bytes = 0;

  constructor(
    public run: StartedRun,
    readonly world: World,
  ) {}

  record<T extends EventType>(type: T, data: DataOf<T>): void {
    this.append({ type, data: data });
  }

  append(draft: RunDraft): void {
    this.drafts.push(draft);
    this.bytes += stringifyJson(draft.data).length + 500;
    this.run = evolve(this.run, { ...draft, timestamp: this.world.now.toISOString() }) as StartedRun;
  }

  get isLong(): boolean {
    return this.drafts.length >= MAX_DRAFTS || this.bytes >= MAX_BYTES;
  }

  /** Identity of the run, as the lifecycle events carry it. */
  get identity() {
    const { runId, workflowId, workflow } = this.run.start;
    return { runId, workflowId, workflow };
  }

  /** What was requested and has no outcome is given up: whoever was asked does not begin it any more, or stops. */
  withdraw(requests: readonly OpenRequest[]): void {
    const { runId } = this.identity;
    for (const request of requests)
      if (!this.world.outcomes.has(request.requestId)) this.record('run.request_withdrawn', { runId, ...request });
  }

  /** Everything that is under way is given up. */
  dropPending(): void {
    this.withdraw(openRequests(this.run.steps));
    this.pending = NOTHING;
    this.tooLong = undefined;
  }

  attempt(attempt: Attempt): void {
    this.pending = { ...this.pending, attempts: [...this.pending.attempts, attempt] };
  }

  /** The outcome of a request; if there is none yet, the run waits for it. */
  outcomeOf(requestId: Uuid): RequestOutcome | undefined {
    const outcome = this.world.outcomes.get(requestId);
    if (!outcome) this.pending = { ...this.pending, awaiting: [...this.pending.awaiting, requestId] };
    return outcome;
  }

  /** @param path of a step, or empty for the run itself. @param length milliseconds from now. */
  setTimer(path: string, purpose: TimerPurpose, length: number): void {
    const at = timeAfter(this.world.now, length).toISOString();
    this.record('run.timer_set', { runId: this.identity.runId, path, purpose, at });
  }

  /** Whether a timer's time has come; if so that is recorded, once. Otherwise the run is woken then. */
  isDue(path: string, purpose: TimerPurpose, timer: TimerState): boolean {
    if (timer.fired) return true;
    const at = new Date(timer.at);
    if (at > this.world.now) {
      const { until } = this.pending;
      if (until === undefined || at < until) this.pending = { ...this.pending, until: at };
      return false;
    }
    this.record('run.timer_fired', { runId: this.identity.runId, path, purpose });
    return true;
  }

  /** Says once that the run has reached 80 % of a limit. */
  noteLimit(limit: DataOf<'workflow.near_limit'>['limit'], value: number, max: number, path?: string): void {
    if (value < max * 0.8 || this.run.near.includes(limit)) return;
    this.record('workflow.near_limit', { ...this.identity, limit, value, max, ...(path !== undefined && { path }) });
  }

  setStatus(to: RunStatus): void {
    if (this.run.status !== to) this.record('workflow.status_changed', { ...this.identity, from: this.run.status, to });
  }
}
