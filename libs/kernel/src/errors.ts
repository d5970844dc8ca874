/**
 * The three kinds of error. `Rejected`: the domain says no, shown to the caller. `Transient`: try again; only adapters
 * make it. Everything else is a bug: it is parked and reported, never swallowed.
 */

/** One problem in the caller's input; `pointer` is an RFC 6901 JSON pointer into the request body. */
export interface Problem {
  readonly pointer: string;
  readonly detail: string;
  readonly code?: string;
  /** In a text that people write, such as a workflow: the place, counted from 1. */
  readonly line?: number;
  readonly column?: number;
}

/** What a code means to a caller, from which the one HTTP filter chooses the status number. */
export type RejectionKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
  | 'unsupported'
  | 'rate_limited'
  | 'method_not_allowed';

/**
 * The domain's "no". `code` is a stable dotted string that programs may branch on (`webhook.not_found`); `message` tells
 * a person what to do next.
 */
export class Rejected extends Error {
  override readonly name = 'Rejected';
  readonly problems: readonly Problem[];
  /** Seconds after which trying again makes sense (kind `rate_limited`). */
  readonly retryAfter: number | undefined;

  constructor(
    readonly kind: RejectionKind,
    readonly code: string,
    message: string,
    more: { problems?: readonly Problem[]; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.problems = more.problems ?? [];
    this.retryAfter = more.retryAfter;
  }
}

/** Something outside is not answering now; the same call may succeed later. Made by adapters alone. */
export class Transient extends Error {
  override readonly name = 'Transient';
  constructor(
    readonly code: string,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
