import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { followsFrom, MAX_HOPS, type EventMetadata } from '#libs/events/src/envelope.js';
import { PREFIXES } from '#libs/kernel/src/ids.js';

import type { KnownWebhook } from '../webhook/webhook.table.js';
import { BARE_URL } from './delivery.js';

/**
 * Whether a webhook that subscribes to an event's type gets this event.
 *
 * News of deliveries would otherwise multiply: a webhook that listens to everything and is down would be sent the events
 * of the very runs that retry its deliveries, each of which fails and starts a run. So what follows from a delivery never
 * goes to its own webhook, goes to others only as far as one webhook, and of workflow runs only to webhooks that name the
 * type. A webhook that allows recursion gets it all.
 */
export function isWanted(webhook: KnownWebhook, event: RecordedEvent): boolean {
  const { orgId, causedBy = [] } = event.metadata;
  if (webhook.orgId !== orgId) return false;
  if (causedBy.length > 0 && webhook.settings.allowRecursion !== true) {
    if (followsFrom(webhook.id, event.metadata)) return false;
    const receivers = causedBy.filter(isReceiver).length;
    if (receivers > 1) return false;
    if (receivers > 0 && event.type.startsWith('workflow.') && !webhook.names(event.type)) return false;
  }
  return passes(webhook, event);
}

const isReceiver = (id: string): boolean => id === BARE_URL || id.startsWith(`${PREFIXES.webhook}_`);

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
