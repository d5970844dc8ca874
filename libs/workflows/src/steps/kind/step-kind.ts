import type { KnownType } from '#libs/event-types/src/own-type.table.js';
import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { EventMetadata } from '#libs/events/src/envelope.js';
import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';
import type { ShownStep } from '#libs/events/src/shapes/run-shape.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import type { EffectStep, StepDefinition, StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { NamedDefinition, Step, UsesFields } from '../../language/definition.js';
import type { KeywordSyntax, NamedSyntax } from '../../language/vocabulary.js';
import type { OpenStep, RunFailure, TimerPurpose } from './step-state.js';

/**
 * THE CONTRACT OF A STEP KIND: one file says how the kind is written, read, checked, decided, recorded and shown, and one
 * line of `../registry.ts` lists it. The grammar, the editors' schema, reserved words, the fold of a run, the event types
 * that are written, timelines and the documentation table follow from it.
 *
 * - a `KeywordKind` has a key of its own (`switch:`), and may hold lists of steps;
 * - a `NamedKind` is named by `uses` and belongs to the engine: it appends to the log. `requestStep` makes those that ask
 *   another stage for something and wait for the outcome;
 * - a `LibraryKind` stands for all steps of the library that have effects, or for all that have none.
 */
export type StepKind = KeywordKind | NamedKind | LibraryKind;

export interface KeywordKind<Fields extends object = object, Noted = unknown>
  extends KeywordSyntax<Fields>, Behaviour<Fields, Noted> {
  readonly form: 'keyword';
}

export interface NamedKind<Noted = unknown> extends NamedDefinition, Behaviour<UsesFields, Noted> {
  readonly form: 'named';
  readonly takesSecrets?: true;
  readonly check?: NamedSyntax['check'];
  readonly noRetry?: string;
}

export interface LibraryKind<Uses extends StepDefinition = StepDefinition, Noted = unknown> extends Behaviour<
  UsesFields<Uses>,
  Noted
> {
  readonly form: 'library';
}

/** How a step of the kind runs. */
export interface Behaviour<Fields extends object, Noted> {
  readonly name: string;
  /**
   * `instant`: decided in one look. `attempts`: done by a worker, which watches the time limit of each attempt. `lasting`:
   * stays open from one decision to the next, and the engine watches its time limit. The first look at such a step must
   * record an event about it, which opens it: without one the next decision would begin it again.
   */
  readonly pace: 'instant' | 'attempts' | 'lasting';
  /** Events of its own that the kind records about a step: what they change, and how the timeline shows them. */
  readonly events?: StepEvents<Noted>;
  /** Type of its request to another part of the platform, which is withdrawn when the step ends before the outcome. */
  readonly request?: EventType;
  /** Types that it appends besides these. */
  readonly appends?: readonly EventType[];
  /** Types that may be the outcome of its request. */
  readonly outcomes?: readonly EventType[];
  /**
   * What happens next in a step that has not ended. Pure: what is recorded shows in `decision` at once, and after a crash
   * the same step is decided again from the events alone.
   * @throws StepError, which fails the step.
   */
  decide(step: Step & Fields, decision: StepDecision<Noted>): Progress;
  /**
   * A step fails for a reason that `decide` does not see: its time limit is over, or the mock of a test fails it. Default: it
   * fails at once.
   */
  fail?(step: Step & Fields, decision: StepDecision<Noted>, error: StepError): Progress;
  /** An attempt has ended; called before `decide`. Of kinds with `pace: 'attempts'`. */
  attemptEnded?(step: Step & Fields, decision: StepDecision<Noted>, result: AttemptResult): void;
}

/** How far one look at a step got. */
export type Progress = 'done' | 'open' | { readonly failed: RunFailure };

export type StepEvents<Noted> = { readonly [T in EventType]?: StepEvent<T, Noted> };

export interface StepEvent<T extends EventType, Noted> {
  /** The step after the event. Pure and total. Default: the event opens the step and changes nothing else. */
  evolve?(step: OpenStep<Noted>, data: DataOf<T>): OpenStep<Noted>;
  /** Changes how the timeline shows the step. */
  show?(shown: ShownStep, data: DataOf<T>, timestamp: string): void;
}

type Identity = 'runId' | 'workflowId' | 'workflow' | 'path' | 'stepId';
/** Data of an event about a step, without what tells which step it is. */
export type OwnData<T extends EventType> = Omit<DataOf<T>, Identity>;

/** Everything that a kind sees of the run while it decides one step, and all that it can do. The engine implements it. */
export interface StepDecision<Noted = unknown> {
  readonly runId: string;
  /** What the run began with. */
  readonly start: DataOf<'workflow.started'>;
  /** Names the step in its run, such as `retries[2].redeliver`. */
  readonly path: string;
  readonly now: Date;
  /** `undefined` until the first event about the step. */
  readonly open: OpenStep<Noted> | undefined;
  /** What expressions of the step see. */
  scope(): Record<string, unknown>;

  /** Records an event about the step. */
  record<T extends EventType>(type: T, data: OwnData<T>): void;
  /** Appends an event that is not about the step, in the same append. `id` is derived from the run and the path. */
  append(event: {
    readonly type: string;
    readonly data: object;
    readonly id: Uuid;
    readonly subject?: string | undefined;
  }): void;

  /** Says once that the run has reached 80 % of a limit. */
  noteLimit(limit: 'items' | 'output', value: number, max: number): void;
  /** The id of an event that the step appends: another one for another attempt and after a retry of the run, the same after a crash. */
  idOf(purpose: string): Uuid;
  /** @param length milliseconds from now. */
  setTimer(purpose: TimerPurpose, length: number): void;
  /** Whether the time of the step's timer has come; if not, the run is woken then. */
  isDue(purpose: TimerPurpose): boolean;
  /** The outcome of a request; if there is none yet, the run is woken by it. */
  outcomeOf(requestId: Uuid): RequestOutcome | undefined;

  /** Whether attempts can run here; if not, the step is left to a worker. */
  canAttempt(): boolean;
  /** Whether links can be signed here; if not, the step is left to a worker. */
  canSign(): boolean;
  /** Whether this process is busy with the step's attempt. */
  readonly isAttempting: boolean;
  /** Absent where nobody knows the organisation, as in tests. */
  readonly ownType: FindOwnType | undefined;
  /** Links with which one approver decides without a token; `undefined` where nobody can sign them. */
  approvalLinks(about: ApprovalLink): { readonly approve: string; readonly reject: string } | undefined;
  /** Has an attempt begun once the events are recorded, or kept up if it is under way. */
  attempt(attempt: Omit<Attempt, 'path' | 'step' | 'round'>): void;

  /** Takes steps that share the scope of this one as far as they go. */
  advance(steps: readonly Step[]): Progress;
  /** What became of such steps. */
  resultOf(steps: readonly Step[]): StepsResult;
  /** One pass through steps with a scope of its own. */
  pass(index: number, item: unknown): Pass;

  completed(output: unknown): Progress;
  failed(error: RunFailure, output?: unknown): Progress;
  /** An attempt has failed, and another one begins `delay` milliseconds from now. */
  retryAfter(delay: number, failed: Omit<OwnData<'run.attempt_failed'>, 'retryAt'>): Progress;
}

/** An event type of the organisation's own, also an archived one. */
export type FindOwnType = (type: string) => KnownType | undefined;

/** What a link to an approval is for, besides the decision. */
export interface ApprovalLink {
  readonly runId: string;
  readonly path: string;
  readonly requestId: Uuid;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** The name of a token. Without it the link is for anyone who has it. */
  readonly approver?: string;
}

/** One pass through nested steps, such as one item of a loop. */
export interface Pass {
  readonly isDone: boolean;
  /** Whether a step of it has been looked at. */
  readonly isBegun: boolean;
  /** What expressions inside see. */
  scope(): Record<string, unknown>;
  advance(steps: readonly Step[]): Progress;
  resultOf(steps: readonly Step[]): StepsResult;
}

/**
 * What became of a list of steps: `failed` by its first failure, `skipped` if each of the steps was, `cancelled` where
 * another branch won.
 */
export interface StepsResult {
  readonly status: 'completed' | 'failed' | 'skipped' | 'cancelled';
  /** Of the last of the steps that has one; `null` if none has, or if they failed. */
  readonly output: unknown;
  readonly error: RunFailure | null;
}

/** An attempt that is under way, or is to begin once the events are recorded. */
export interface Attempt {
  readonly path: string;
  readonly step: Step;
  readonly uses: EffectStep;
  /** From 1. */
  readonly attempt: number;
  /**
   * The retry of the run from which on this is another action than before; 0 for most. A step that failed is the same
   * action when it is retried on the same version: the receiver must be able to tell that it was done.
   */
  readonly round: number;
  readonly input: unknown;
  /** Where secrets are put in. */
  readonly secrets: readonly SecretPlace[];
}

/** How an attempt ended: with an output, or with what the step threw. */
export type AttemptResult = { readonly attempt: Attempt } & StepResult;
export type StepResult = { readonly output: unknown } | { readonly thrown: unknown };

/** What became of a request: the event that names the request as its cause. */
export type RequestOutcome<T extends EventType = EventType> = {
  readonly [Type in T]: { readonly type: Type; readonly data: DataOf<Type> };
}[T] &
  Pick<EventMetadata, 'personal'>;
