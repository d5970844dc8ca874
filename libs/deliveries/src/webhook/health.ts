import type { RecordedEvent } from '#libs/event-store/src/event-store.js';

/** How a webhook has been doing. Tests do not count. */
export interface Health {
  readonly webhookId: string;
  /** HTTP calls made. */
  readonly sendCount: number;
  /** Attempts that failed. */
  readonly failureCount: number;
  readonly lastSentAt: string | null;
  readonly consecutiveFailures: number;
  /** When the first of them was. */
  readonly failingSince: string | null;
  /** Both absent in what was recorded before they were kept. */
  readonly lastSuccessAt: string | null;
  readonly lastFailureAt: string | null;
  /** Why the last failed attempt failed. */
  readonly lastFailure: string | null;
}

export const newHealth = (webhookId: string): Health => ({
  webhookId,
  sendCount: 0,
  failureCount: 0,
  lastSentAt: null,
  consecutiveFailures: 0,
  failingSince: null,
  lastSuccessAt: null,
  lastFailureAt: null,
  lastFailure: null,
});

/** How long a webhook may fail without a single success before it is disabled. */
export const PATIENCE_MS = 5 * 24 * 60 * 60 * 1000;

/** Whether the attempt never left the house because its webhook was disabled or gone. */
const wasWithheld = (event: RecordedEvent<'webhook.failed'>): boolean =>
  event.data.failureClass === 'refused_address' && !event.data.retryable;

export function healthAfter(health: Health, event: RecordedEvent<'webhook.delivered' | 'webhook.failed'>): Health {
  const at = event.metadata.timestamp;
  if (!event.is('webhook.failed'))
    return {
      ...health,
      sendCount: health.sendCount + 1,
      lastSentAt: at,
      consecutiveFailures: 0,
      failingSince: null,
      lastSuccessAt: at,
    };
  if (wasWithheld(event)) return health;
  const sent = event.data.failureClass !== 'refused_address';
  return {
    ...health,
    sendCount: health.sendCount + (sent ? 1 : 0),
    failureCount: health.failureCount + 1,
    lastSentAt: sent ? at : health.lastSentAt,
    consecutiveFailures: health.consecutiveFailures + 1,
    failingSince: health.failingSince ?? at,
    lastFailureAt: at,
    lastFailure: event.data.detail,
  };
}

/** Whether patience with a webhook ended with a failure at `at`. */
export const isWornOut = ({ failingSince }: Health, at: string): boolean =>
  failingSince !== null && new Date(at).getTime() - new Date(failingSince).getTime() >= PATIENCE_MS;
