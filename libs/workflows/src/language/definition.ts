import type { TSchema } from '@sinclair/typebox';

import type { EventType } from '#libs/events/src/catalogue.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';

import type { InputSpecs } from './inputs.js';

/** A workflow as it was written, checked and compiled. One object per version; immutable. */
export interface Definition {
  readonly name: string;
  readonly description: string | undefined;
  /** Starts no runs. */
  readonly disabled: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly triggers: readonly Trigger[];
  readonly timeoutMs: number | undefined;
  /** Events that follow from its own runs start it too. */
  readonly allowRecursion: boolean;
  readonly concurrency: Concurrency | undefined;
  readonly steps: readonly Step[];
  readonly onFailure: readonly Step[];
  /** Run in the end, however it comes. */
  readonly finally: { readonly steps: readonly Step[]; readonly timeoutMs: number } | undefined;
  readonly outputs: CompiledTemplate | undefined;
  /** Names of all secrets that its steps use. */
  readonly secrets: readonly string[];
}

/** How many runs may be under way at a time. */
export interface Concurrency {
  /** Absent: all runs of the workflow have one key. */
  readonly key: CompiledTemplate | undefined;
  readonly limit: number;
  readonly onConflict: 'queue' | 'skip' | 'cancel_running';
  readonly maxQueued: number;
  /** Whether a run keeps its place while it waits. */
  readonly whileWaiting: 'hold' | 'release';
}

/** What every trigger has; each kind adds fields of its own. */
export interface Trigger {
  /** Name of the trigger's kind. */
  readonly type: string;
  /** What a person who starts a run must enter; absent where nothing is asked. */
  readonly inputs?: InputSpecs;
  /** Tells it from others of its kind; no two have the same. */
  readonly key?: string;
  /** Its runs are about many events. */
  readonly isBatch?: true;
  /** Known types of the events that start a run; absent where no event does. */
  readonly types?: readonly EventType[];
  /** Schemas of what events of types of one's own say, that start a run. */
  readonly ownSchemas?: readonly JsonSchema[];
}

/** What every step has; each kind adds fields of its own. */
export interface Step {
  /** Name of the step's kind. */
  readonly kind: string;
  /** Unique in the workflow. */
  readonly id: string;
  /** As it is written: versions are compared by it. */
  readonly written: Readonly<Record<string, unknown>>;
  readonly name: string | undefined;
  /** Left out, whatever its condition says. */
  readonly disabled: boolean;
  readonly condition: CompiledExpression | undefined;
  readonly timeoutMs: number | undefined;
  readonly onError: 'fail' | 'continue';
}

/** What a step with `uses` adds. */
export interface UsesFields<Uses extends NamedDefinition = NamedDefinition> {
  readonly uses: Uses;
  readonly input: StepInput;
  readonly retry: RetryPolicy | undefined;
}

/** What `uses` names. */
export interface NamedDefinition {
  readonly name: string;
  /** One sentence. */
  readonly description: string;
  /** JSON Schema of `with`, once its templates are filled in. */
  readonly inputSchema: TSchema;
  /** JSON Schema of `steps.<id>.output`, for warnings about fields that it does not have. Default: anything. */
  readonly outputSchema?: TSchema;
}

/** What `with` says, in two parts: what is filled in, and what is evaluated (`format: 'jmespath'`). */
export interface StepInput {
  readonly template: CompiledTemplate;
  readonly expressions: Readonly<Record<string, CompiledExpression>>;
}

export interface RetryPolicy {
  /** With the first. */
  readonly maxAttempts: number;
  readonly delayMs: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly maxDelayMs: number;
  readonly jitter: boolean;
  /** Whether an error is worth another attempt; without it, the step says so. */
  readonly when: CompiledExpression | undefined;
  readonly exceptWhen: CompiledExpression | undefined;
}
