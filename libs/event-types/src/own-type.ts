import { type Author, type Decide, slice, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { catalogue, isSystemType } from '#libs/events/src/catalogue.js';
import type { EventTypeVersion } from '#libs/events/src/shapes/event-types/event-type-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

/** An event type of an organisation. `unknown` until it is created; then `known`, and `archived` while it takes no new events. */
export type OwnType =
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'known' | 'archived';
      readonly orgId: string;
      readonly type: string;
      readonly version: number;
      readonly content: EventTypeVersion;
      readonly updatedAt: string;
    };

export const ownType = slice<OwnType>()({
  name: 'eventType',
  stream: streams.eventType,
  initial: { kind: 'unknown' },
  evolve: {
    'event_type.saved': (
      _,
      { type, version, description, schema, example, personal },
      { metadata: { orgId, timestamp } },
    ) => ({
      kind: 'known',
      orgId,
      type,
      version,
      content: { description, schema, example, ...(personal && { personal }) },
      updatedAt: timestamp,
    }),
    'event_type.archived': (state, _, { metadata: { timestamp } }) =>
      state.kind === 'unknown' ? state : { ...state, kind: 'archived', updatedAt: timestamp },
  },
});

export const eventTypeIdOf = (orgId: string, type: string): string => derivedId('ety', 'event-type', orgId, type);

/** Families of which Millrace records types about itself: one of somebody else would be taken for it. */
const RESERVED = new Set([
  'webhook',
  'workflow',
  'agent',
  'schedule',
  'approval',
  ...Object.keys(catalogue)
    .filter(isSystemType)
    .map((type) => type.slice(0, type.indexOf('.'))),
]);

/** Why nobody may define a type of this name; `undefined` if one may. */
export function reservedName(type: string): string | undefined {
  if (Object.hasOwn(catalogue, type)) return `Must not be ${type}, which is a built-in type.`;
  const [family = ''] = type.split('.');
  return RESERVED.has(family) ? `Must not begin with "${family}.", which Millrace uses for its own events.` : undefined;
}

export const eventTypeNotFound = (type: string): Rejected =>
  new Rejected(
    'not_found',
    'event_type.not_found',
    `There is no event type ${type}. GET /api/v1/event-types lists them.`,
  );

type Decision<C> = Decide<OwnType, 'event_type.saved' | 'event_type.archived', C>;

/** The same content again changes nothing, unless the type was archived. */
export const saveEventType: Decision<SaveEventType> = (state, { id, type, content, isNew }) => {
  if (isNew && state.kind === 'known' && canonicalJson(state.content) !== canonicalJson(content))
    throw new Rejected(
      'conflict',
      'event_type.exists',
      `There is already an event type ${type}. Send a new version: PUT /api/v1/event-types/${type}.`,
      { problems: [{ pointer: '/type', detail: 'Must be a type that does not exist.' }] },
    );
  if (!isNew && state.kind === 'unknown') throw eventTypeNotFound(type);
  const before = state.kind === 'unknown' ? 0 : state.version;
  const isSame = state.kind !== 'unknown' && canonicalJson(state.content) === canonicalJson(content);
  if (isSame && state.kind === 'known') return [];
  return [
    { type: 'event_type.saved', data: { eventTypeId: id, type, version: before + (isSame ? 0 : 1), ...content } },
  ];
};

export const archiveEventType: Decision<ArchiveEventType> = (state, { id, type }) => {
  if (state.kind === 'unknown') throw eventTypeNotFound(type);
  return state.kind === 'archived' ? [] : [{ type: 'event_type.archived', data: { eventTypeId: id, type } }];
};

export class SaveEventType extends ThingCommand<OwnType> {
  constructor(
    author: Author,
    readonly type: string,
    readonly content: EventTypeVersion,
    /** Whether there must be none of the name. */
    readonly isNew: boolean,
  ) {
    super(eventTypeIdOf(author.orgId, type), author);
  }
}

export class ArchiveEventType extends ThingCommand<OwnType> {
  constructor(
    author: Author,
    readonly type: string,
  ) {
    super(eventTypeIdOf(author.orgId, type), author);
  }
}
