import { type Static, Type } from '@sinclair/typebox';

import type { JsonObject } from '#libs/kernel/src/json.js';
import { remember } from '#libs/kernel/src/remember.js';

import { accessEvents, secretEvents } from './types/access.events.js';
import { actionEvents } from './types/actions/action.events.js';
import type { EventDefinition } from './define-event.js';
import { agentEvents } from './types/agents/agent.events.js';
import { deliveryEvents } from './types/delivery.events.js';
import { executionEvents } from './types/agents/execution.events.js';
import { modelEvents } from './types/agents/model.events.js';
import { eventTypeEvents } from './types/event-type.events.js';
import { gitEvents } from './types/git.events.js';
import { inboundEvents } from './types/inbound.events.js';
import { integrationEvents } from './types/integration.events.js';
import { issueEvents } from './types/issue.events.js';
import { messageEvents } from './types/actions/message.events.js';
import { trackerEvents } from './types/actions/tracker.events.js';
import { nameEvents } from './types/name.events.js';
import { quarantineEvents } from './types/quarantine.events.js';
import { replayEvents } from './types/replay.events.js';
import { eventViewEvents } from './types/event-view.events.js';
import { retentionEvents } from './types/retention.events.js';
import { projectionEvents } from './types/projection.events.js';
import { ruleEvents } from './types/rule.events.js';
import { subscriberEvents } from './types/subscriber.events.js';
import { subjectEvents } from './types/subject.events.js';
import { triggerEvents } from './types/trigger.events.js';
import { webhookEvents } from './types/webhook.events.js';
import { sealEvents } from './types/seal.events.js';
import { waitEvents } from './types/wait.events.js';
import { runEvents } from './types/run.events.js';
import { workflowEvents } from './types/workflow.events.js';

/** Every event type of the platform, by name. A released type is never edited: add one, and an upcaster. */
export const catalogue = {
  ...integrationEvents,
  ...actionEvents,
  ...messageEvents,
  ...trackerEvents,
  ...agentEvents,
  ...executionEvents,
  ...modelEvents,
  ...gitEvents,
  ...inboundEvents,
  ...ruleEvents,
  ...workflowEvents,
  ...runEvents,
  ...waitEvents,
  ...triggerEvents,
  ...webhookEvents,
  ...deliveryEvents,
  ...issueEvents,
  ...accessEvents,
  ...secretEvents,
  ...subjectEvents,
  ...eventTypeEvents,
  ...nameEvents,
  ...subscriberEvents,
  ...sealEvents,
  ...quarantineEvents,
  ...replayEvents,
  ...retentionEvents,
  ...projectionEvents,
  ...eventViewEvents,
} as const;

type Catalogue = typeof catalogue;

/** The name of a built-in event type. */
export type EventType = keyof Catalogue;
/** The type of `data` of a built-in event type. */
export type DataOf<T extends EventType> = Static<Catalogue[T]['data']>;

export const isEventType = (type: string): type is EventType => Object.hasOwn(catalogue, type);

const definitionOf = (type: EventType): EventDefinition => catalogue[type];

/** Fields of `data` that nobody outside is shown. */
const unshown = ({ hidden = [], internal = [] }: EventDefinition): readonly string[] => [...hidden, ...internal];

/** What is shown outside of `data` of a type; `undefined` for all of it. */
export function shownPart(type: string): ((data: JsonObject) => JsonObject) | undefined {
  if (!isEventType(type)) return undefined;
  const definition = definitionOf(type);
  const fields = unshown(definition);
  if (fields.length === 0) return definition.shown;
  return (data) => Object.fromEntries(Object.entries(data).filter(([key]) => !fields.includes(key)));
}

/** The schema and the example of a type as they are shown outside. */
export const shownDefinition = remember((type): Pick<EventDefinition, 'data' | 'example'> => {
  const definition = definitionOf(type as EventType);
  const fields = unshown(definition);
  if (fields.length === 0) return definition;
  const example = Object.entries(definition.example).filter(([key]) => !fields.includes(key));
  return { data: Type.Omit(definition.data, [...fields]), example: Object.fromEntries(example) };
}) as (type: EventType) => Pick<EventDefinition, 'data' | 'example'>;

/** Whether everything that is stored of events of a type may be given away. */
export const isExportable = (type: string): boolean =>
  !isEventType(type) || (definitionOf(type).hidden === undefined && definitionOf(type).shown === undefined);

/** Whether `*` leaves this type out. Custom types are never system types. */
export const isSystemType = (type: string): boolean => isEventType(type) && 'system' in catalogue[type];
