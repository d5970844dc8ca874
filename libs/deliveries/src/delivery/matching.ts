import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { type EventMetadata, MAX_HOPS } from '#libs/events/src/envelope.js';

import type { KnownWebhook } from '../webhook/webhook.table.js';

/**
 * Whether a webhook that subscribes to an event's type gets this event.
 *
 * News of failures would otherwise multiply: a webhook that listens to everything and is down would be sent the events
 * of the very runs that retry its deliveries, each of which fails and starts a run. So what follows from a failed
 * delivery never goes to the webhook that failed, goes to others only as far as one failure, and of workflow runs only
 * to webhooks that name the type.
 */
export function isWanted(webhook: KnownWebhook, event: RecordedEvent): boolean {
  const { orgId, afterFailureOf } = event.metadata;
  if (webhook.orgId !== orgId) return false;
  if (afterFailureOf !== undefined && afterFailureOf.length > 0) {
    if (wouldEcho(webhook.id, event.metadata)) return false;
    if (event.type.startsWith('workflow.') && !webhook.names(event.type)) return false;
  }
  return passes(webhook, event);
}

/** Whether a delivery to `target` would tell a failing receiver about its own failure, or spread news of two. */
export const wouldEcho = (target: string, { afterFailureOf = [] }: EventMetadata): boolean =>
  afterFailureOf.includes(target) || afterFailureOf.length > 1;

/** Whether what is caused by an event is still within the limit of causes. */
export const mayCause = ({ hop }: EventMetadata): boolean => hop < MAX_HOPS;

function passes({ filter }: KnownWebhook, event: RecordedEvent): boolean {
  if (filter === undefined) return true;
  try {
    return filter.test(platformEvent(event));
  } catch {
    // The only error is that it costs too much on this event: an event that cannot be judged was not asked for.
    return false;
  }
}
