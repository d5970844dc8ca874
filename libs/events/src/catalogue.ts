import type { Static } from '@sinclair/typebox';

import { accessEvents } from './access.events.js';
import { actionEvents } from './action.events.js';
import { agentEvents } from './agent.events.js';
import { deliveryEvents } from './delivery.events.js';
import { gitEvents } from './git.events.js';
import { inboundEvents } from './inbound.events.js';
import { integrationEvents } from './integration.events.js';
import { issueEvents } from './issue.events.js';
import { ruleEvents } from './rule.events.js';
import { subscriberEvents } from './subscriber.events.js';
import { webhookEvents } from './webhook.events.js';
import { workflowEvents } from './workflow.events.js';

/** Every event type of the platform, by name. A released type is never edited: add one, and an upcaster. */
export const catalogue = {
  ...integrationEvents,
  ...actionEvents,
  ...agentEvents,
  ...gitEvents,
  ...inboundEvents,
  ...ruleEvents,
  ...workflowEvents,
  ...webhookEvents,
  ...deliveryEvents,
  ...issueEvents,
  ...accessEvents,
  ...subscriberEvents,
} as const;

type Catalogue = typeof catalogue;

/** The name of a built-in event type. */
export type EventType = keyof Catalogue;
/** The type of `data` of a built-in event type. */
export type DataOf<T extends EventType> = Static<Catalogue[T]['data']>;

export const isEventType = (type: string): type is EventType => Object.hasOwn(catalogue, type);

/** Whether `*` leaves this type out. Custom types are never system types. */
export const isSystemType = (type: string): boolean => isEventType(type) && 'system' in catalogue[type];
