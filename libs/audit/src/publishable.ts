import { isEventType, isSystemType } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { Rejected } from '#libs/kernel/src/errors.js';

/** Families that only the engine writes: its own stages take them for what happened. */
const ENGINE_FAMILIES = ['webhook.', 'workflow.', 'agent.', 'schedule.', 'approval.'];
const OPEN = new Set(['webhook.received']);

/**
 * The type, if a program outside may publish it in the name of `source`: rules trust the names of providers.
 * @throws Rejected `event.type_unknown`, `event.type_reserved` or `event.source_reserved`.
 */
export function publishable(
  type: string,
  source: string | undefined,
  isProvider: (source: string) => boolean = () => false,
  isOwn: (type: string) => boolean = () => false,
): string {
  if (!isEventType(type) && !isOwn(type))
    throw new Rejected(
      'invalid',
      'event.type_unknown',
      `${type} is not an event type. GET /api/v1/event-types lists them.`,
      {
        problems: [{ pointer: '/type', detail: 'Must be an event type.' }],
      },
    );
  const reserved = isSystemType(type) || (!OPEN.has(type) && ENGINE_FAMILIES.some((family) => type.startsWith(family)));
  if (reserved)
    throw new Rejected(
      'forbidden',
      'event.type_reserved',
      `${type} is recorded by Millrace itself. Programs must not publish it.`,
      {
        problems: [{ pointer: '/type', detail: 'Must be a type that programs may publish.' }],
      },
    );
  if (source === ENGINE)
    throw new Rejected(
      'forbidden',
      'event.source_reserved',
      `The source ${ENGINE} is reserved for Millrace. Use the name of the program that publishes.`,
      {
        problems: [{ pointer: '/source', detail: 'Must be the name of the program that publishes.' }],
      },
    );
  if (source !== undefined && isProvider(source.toLowerCase()))
    throw new Rejected(
      'invalid',
      'event.source_reserved',
      `${source} is the source of events that an integration has verified. Name the program that publishes.`,
      { problems: [{ pointer: '/source', detail: 'Must not be the name of a provider.' }] },
    );
  return type;
}
