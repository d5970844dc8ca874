import type { EgressOutcome, FailureClass } from '#libs/egress/src/egress.js';
import { retryAfterSeconds } from '#libs/kernel/src/time/retry-after.js';

/** What one attempt came to. */
export type AttemptResult =
  | { readonly kind: 'delivered'; readonly status: number; readonly latencyMs: number }
  | {
      readonly kind: 'failed';
      readonly failureClass: FailureClass;
      readonly status?: number;
      readonly detail: string;
      readonly retryable: boolean;
      readonly retryAfter?: number;
      readonly latencyMs: number;
    };

/**
 * A 2xx is a success and everything else a failure that another attempt may mend, also a 4xx: receivers are deployed,
 * certificates renewed, names mended. Only a 410 says that it is over.
 */
export function resultOf(outcome: EgressOutcome, now: Date): AttemptResult {
  const { latencyMs } = outcome;
  if (outcome.kind === 'failed') {
    const { failureClass, detail, status } = outcome;
    return {
      kind: 'failed',
      failureClass,
      detail,
      retryable: true,
      latencyMs,
      ...(status !== undefined && { status }),
    };
  }
  const { status, headers } = outcome;
  if (status >= 200 && status < 300) return { kind: 'delivered', status, latencyMs };
  const retryAfter = retryAfterSeconds(headers['retry-after'], now);
  return {
    kind: 'failed',
    failureClass: 'status',
    status,
    // Whether the webhook is disabled is not known here: a test disables none.
    detail: status === 410 ? 'the receiver answered 410 Gone' : `the receiver answered ${status}`,
    retryable: status !== 410,
    latencyMs,
    ...(retryAfter !== undefined && { retryAfter }),
  };
}

/** An attempt that was not made, for a reason that lies with us. */
export const withheld = (detail: string): AttemptResult => ({
  kind: 'failed',
  failureClass: 'refused_address',
  detail,
  retryable: false,
  latencyMs: 0,
});
