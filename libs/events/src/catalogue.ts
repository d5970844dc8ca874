import type { Static } from '@sinclair/typebox';

import { accessEvents } from './types/access.events.js';
import { actionEvents } from './types/action.events.js';
import { agentEvents } from './types/agent.events.js';
import { deliveryEvents } from './types/delivery.events.js';
import { gitEvents } from './types/git.events.js';
import { inboundEvents } from './types/inbound.events.js';
import { integrationEvents } from './types/integration.events.js';
import { issueEvents } from './types/issue.events.js';
import { nameEvents } from './types/name.events.js';
import { ruleEvents } from './types/rule.events.js';
import { subscriberEvents } from './types/subscriber.events.js';
import { webhookEvents } from './types/webhook.events.js';
import { workflowEvents } from './types/workflow.events.js';

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
  ...nameEvents,
  ...subscriberEvents,
} as const;

type Catalogue = typeof catalogue;

/** The name of a built-in event type. */
export type EventType = keyof Catalogue;
/** The type of `data` of a built-in event type. */
export type DataOf<T extends EventType> = Static<Catalogue[T]['data']>;

export const isEventType = (type: string): type is EventType => Object.hasOwn(catalogue, type);

/** Fields of `data` of a type that nobody outside is shown. */
export const hiddenFields = (type: string): readonly string[] | undefined =>
  isEventType(type) ? (catalogue[type] as { hidden?: readonly string[] }).hidden : undefined;

/** Whether `*` leaves this type out. Custom types are never system types. */
export const isSystemType = (type: string): boolean => isEventType(type) && 'system' in catalogue[type];
