import type { DataOf } from '#libs/events/src/catalogue.js';

/** What became of a request: the event that names the request as its cause. */
export type Outcome =
  | { readonly type: 'webhook.delivered'; readonly data: DataOf<'webhook.delivered'> }
  | { readonly type: 'webhook.failed'; readonly data: DataOf<'webhook.failed'> }
  | { readonly type: 'action.refused'; readonly data: DataOf<'action.refused'> };

/** Types of outcomes that runs wait for. */
export const OUTCOMES = ['webhook.delivered', 'webhook.failed', 'action.refused'] as const;

/** `steps.<id>.output` of a `redeliver_webhook`. That it was not delivered is an answer, not a failure of the step. */
export function redelivered(outcome: Outcome): Record<string, unknown> {
  switch (outcome.type) {
    case 'webhook.delivered':
      return { delivered: true, attempt: outcome.data.attempt, status: outcome.data.status, retryable: false };
    case 'webhook.failed': {
      const { attempt, status, failureClass, retryable, detail, retryAfter } = outcome.data;
      return { delivered: false, attempt, status, failureClass, retryable, detail, retryAfter };
    }
    // The webhook or the delivery is gone, or somebody else was faster: there is nothing left to try.
    case 'action.refused': {
      const { reason, detail } = outcome.data;
      return { delivered: reason === 'already-delivered', retryable: false, refused: reason, detail };
    }
  }
}
