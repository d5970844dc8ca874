import type { Static, TSchema } from '@sinclair/typebox';

/**
 * THE DOOR FOR STEPS: what a workflow may name in `uses:`. The built-in steps come through it too.
 *
 * ```ts
 * export const page = defineStep({
 *   name: 'page-on-call',
 *   description: 'Pages the person on call.',
 *   inputSchema: Type.Object({ team: Type.String(), text: Type.String() }),
 *   effects: true,
 *   async run({ team, text }, { http, idempotencyKey, signal }) {
 *     const answer = await http.request({
 *       method: 'POST',
 *       url: 'https://pager.example.com/pages',
 *       headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
 *       body: JSON.stringify({ team, text }),
 *       timeoutMs: 10_000,
 *       signal,
 *     });
 *     if (answer.kind === 'failed') throw new StepError({ code: answer.failureClass, message: answer.detail, retryable: true });
 *     return { status: answer.status };
 *   },
 * });
 * ```
 */

/**
 * A step that does something in the world. It may be run again for the same attempt, if the process dies in between:
 * pass `idempotencyKey` on to the system that is called, and stop when `signal` aborts.
 */
export interface EffectStep<Schema extends TSchema = TSchema> {
  readonly name: string;
  /** One sentence, shown where workflows are written. */
  readonly description: string;
  /** JSON Schema of `with`, after its templates are filled in. */
  readonly inputSchema: Schema;
  /** JSON Schema of the output: fields that it does not have are warned about. Default: anything. */
  readonly outputSchema?: TSchema;
  readonly effects: true;
  /**
   * By default a number is an `ExactNumber` only where JavaScript cannot hold it, such as 7615917337495251231. With `true` it is
   * one too where JavaScript would write other digits, such as 1.50.
   */
  readonly keepsDigits?: true;
  /**
   * Does it. What it returns (anything that JSON can hold, up to 256 KiB) is `steps.<id>.output`.
   * @throws StepError for what went wrong in a way that the author of a workflow understands. Anything else counts as
   * a failure that no second attempt would mend.
   */
  run(input: Static<Schema>, context: StepContext): Promise<unknown>;
}

/** A step that only computes: same input, same output, at once. It is decided in memory, and costs no round trip. */
export interface PureStep<Schema extends TSchema = TSchema> {
  readonly name: string;
  readonly description: string;
  /**
   * JSON Schema of `with`, after its templates are filled in. A property of `format: 'jmespath'` is an expression: it is
   * checked when the workflow is saved, and `run` is given its value over the scope of the step.
   */
  readonly inputSchema: Schema;
  /** JSON Schema of the output: fields that it does not have are warned about. Default: anything. */
  readonly outputSchema?: TSchema;
  readonly effects: false;
  /** See {@link EffectStep.keepsDigits}. */
  readonly keepsDigits?: true;
  /** @throws StepError */
  run(input: Static<Schema>): unknown;
}

export type StepDefinition<Schema extends TSchema = TSchema> = EffectStep<Schema> | PureStep<Schema>;

/** Types a step by its schema; returns it unchanged. */
export function defineStep<Schema extends TSchema>(step: EffectStep<Schema>): EffectStep<Schema>;
export function defineStep<Schema extends TSchema>(step: PureStep<Schema>): PureStep<Schema>;
export function defineStep<Schema extends TSchema>(step: StepDefinition<Schema>): StepDefinition<Schema> {
  return step;
}

/** What a step with effects is given beside its input. */
export interface StepContext {
  /**
   * The same for every attempt of the same step of the same run, also after a crash: a system that honours it does the thing
   * once. A UUID.
   */
  readonly idempotencyKey: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** The step's `timeout`, 30 s where the workflow names none. */
  readonly timeoutMs: number;
  /** Aborts when the step's `timeout` is over, the run is cancelled or the process stops. */
  readonly signal: AbortSignal;
  /** The only way out: public addresses only, unless allowed; no redirects; bounded in time and size. */
  readonly http: StepHttp;
  /** A line in the server's log, with the run and the step named. Never give it a secret. */
  log(message: string, fields?: object): void;
}

export interface StepHttp {
  /** Never throws for what the other side does. Rejects only when `signal` aborts. */
  request(request: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
    /** From the first byte out to the last byte in. */
    readonly timeoutMs: number;
    /** What is kept of the response (default 64 KiB). */
    readonly keepBytes?: number;
    /** No more is read (default 1 MiB). A longer 2xx fails; of any other answer the status counts. */
    readonly maxBytes?: number;
    readonly signal: AbortSignal;
  }): Promise<StepHttpOutcome>;
}

export type StepHttpOutcome =
  | {
      readonly kind: 'response';
      readonly status: number;
      /** By lower-case name, without `set-cookie`. */
      readonly headers: Readonly<Record<string, string>>;
      readonly setCookie?: readonly string[];
      /** As it came: `readHttpBody` unpacks and decodes it. */
      readonly body: Buffer;
      /** The body is longer, or, of an answer outside 2xx, ended early. */
      readonly truncated: boolean;
      readonly latencyMs: number;
    }
  | {
      readonly kind: 'failed';
      /** `timeout`, `dns`, `connect`, `tls`, `refused_address`, `redirect`, `body_too_large`. */
      readonly failureClass: string;
      readonly detail: string;
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly latencyMs: number;
    };

/** What kind of trouble it is: one condition of a workflow covers all codes of a type. */
export type ErrorType =
  'configuration' | 'validation' | 'expression' | 'authentication' | 'timeout' | 'communication' | 'runtime';

/** How a step says that it failed. */
export class StepError extends Error {
  override readonly name = 'StepError';
  /** Stable and dotted, such as `http.status`: what an expression may compare, as `steps.<id>.error.code`. */
  readonly code: string;
  /** Default: what the code says, and `runtime` where it says nothing. */
  readonly type: ErrorType | undefined;
  /** Whether another attempt may succeed; without it `retry` does nothing. */
  readonly retryable: boolean;
  /** Seconds that the other side asked to wait. The next attempt comes no earlier. */
  readonly retryAfter: number | undefined;
  /** What there is to show all the same: `steps.<id>.output` of a failed step. */
  readonly output: unknown;

  constructor(failure: {
    /** For a person: what happened, and what to do next. Holds no secret. */
    readonly message: string;
    readonly retryable: boolean;
    readonly code?: string;
    readonly type?: ErrorType;
    readonly retryAfter?: number;
    readonly output?: unknown;
  }) {
    super(failure.message);
    this.code = failure.code ?? 'step.failed';
    this.type = failure.type;
    this.retryable = failure.retryable;
    this.retryAfter = failure.retryAfter;
    this.output = failure.output ?? null;
  }
}
