import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import type { Json } from '#libs/kernel/src/json.js';
import type { EffectStep, PureStep } from '#libs/plugin-sdk/src/define-step.js';

/** A workflow as it was written, checked and compiled. One object per version; immutable. */
export interface Definition {
  readonly name: string;
  readonly description: string | undefined;
  readonly triggers: readonly Trigger[];
  readonly timeoutMs: number | undefined;
  readonly steps: readonly Step[];
  readonly onFailure: readonly Step[];
  readonly outputs: CompiledTemplate | undefined;
}

export type Trigger = EventTrigger | ManualTrigger;

/** Starts a run for each event that fits; every field that is given must fit. */
export interface EventTrigger {
  readonly type: 'event';
  /** Types by name or glob. */
  readonly event: readonly string[];
  readonly source: readonly string[] | undefined;
  readonly branches: readonly string[] | undefined;
  /** Globs over file paths; one changed file that fits is enough. */
  readonly paths: readonly string[] | undefined;
  readonly when: CompiledExpression | undefined;
}

export interface ManualTrigger {
  readonly type: 'manual';
  readonly inputs: Readonly<Record<string, InputSpec>>;
}

export interface InputSpec {
  readonly type: 'string' | 'number' | 'boolean' | 'select';
  readonly description?: string;
  readonly required?: boolean;
  readonly default?: Json;
  /** Of a select. */
  readonly options?: readonly (string | number)[];
}

export interface RetryPolicy {
  /** With the first. */
  readonly maxAttempts: number;
  readonly delayMs: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly maxDelayMs: number;
  readonly jitter: boolean;
}

/** What every step has. */
export interface Common {
  /** Unique in the workflow. */
  readonly id: string;
  readonly name: string | undefined;
  readonly condition: CompiledExpression | undefined;
  readonly timeoutMs: number | undefined;
  readonly onError: 'fail' | 'continue';
}

/** What `with` says, in two parts: what is filled in, and what is evaluated (`format: 'jmespath'`). */
export interface StepInput {
  readonly template: CompiledTemplate;
  readonly expressions: Readonly<Record<string, CompiledExpression>>;
}

export interface EffectfulStep extends Common {
  readonly kind: 'effect';
  readonly uses: EffectStep;
  readonly input: StepInput;
  readonly retry: RetryPolicy | undefined;
}
export interface ComputedStep extends Common {
  readonly kind: 'pure';
  readonly uses: PureStep;
  readonly input: StepInput;
}
export interface EmitStep extends Common {
  readonly kind: 'emit';
  readonly input: StepInput;
}
export interface RedeliverStep extends Common {
  readonly kind: 'redeliver';
  readonly input: StepInput;
}
export interface WaitStep extends Common {
  readonly kind: 'wait';
  /** A duration. */
  readonly for: CompiledTemplate | undefined;
  /** A time, RFC 3339. */
  readonly until: CompiledTemplate | undefined;
}
export interface SwitchStep extends Common {
  readonly kind: 'switch';
  /** The first that is true is taken; `else` has no condition. */
  readonly cases: readonly { readonly condition: CompiledExpression | undefined; readonly steps: readonly Step[] }[];
}
export interface ForEachStep extends Common {
  readonly kind: 'forEach';
  readonly items: CompiledTemplate;
  readonly concurrency: number;
  /** Asked after each item; once true, no further item begins. */
  readonly until: CompiledExpression | undefined;
  readonly steps: readonly Step[];
}

export type Step = EffectfulStep | ComputedStep | EmitStep | RedeliverStep | WaitStep | SwitchStep | ForEachStep;
