import { catalogue } from '#libs/events/src/catalogue.js';
import { NAMES } from '#libs/events/src/shapes/named-shapes.js';
import { isObject } from '#libs/kernel/src/json.js';

import { BUILT_IN_TRACKER, type OrganisationVocabulary, type ReferenceKind } from './vocabulary.js';

/** `eventType`: any; `ownEventType`: one of the organisation's own. */
export type OfferedKind = ReferenceKind | 'eventType' | 'ownEventType';

/** The same schema for one organisation: editors offer its names, and accept other texts as before. */
export function offering(schema: unknown, vocabulary: OrganisationVocabulary): unknown {
  if (Array.isArray(schema)) return schema.map((item) => offering(item, vocabulary));
  if (!isObject(schema)) return schema;
  const { [NAMES]: kind, ...rest } = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, offering(value, vocabulary)]),
  );
  const names = typeof kind === 'string' ? namesOf(kind as OfferedKind, vocabulary) : [];
  if (names.length === 0) return rest;
  if (rest['type'] === 'object')
    return { ...rest, properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])) };
  const { description, ...other } = rest;
  return { ...(description !== undefined && { description }), anyOf: [{ enum: names }, other] };
}

function namesOf(kind: OfferedKind, vocabulary: OrganisationVocabulary): readonly string[] {
  const { agents, integrations, secrets, webhooks, workflows } = vocabulary;
  const own = [...vocabulary.eventTypes].flatMap(([type, { archived }]) => (archived ? [] : [type]));
  const named = (all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => name);
  const names: Readonly<Record<OfferedKind, () => readonly string[]>> = {
    agent: () => named(agents),
    integration: () => named(integrations.filter(({ sends }) => sends)),
    receiver: () => named(integrations),
    secret: () => named(secrets),
    tracker: () => [BUILT_IN_TRACKER, ...named(integrations.filter(({ tracks }) => tracks))],
    // A webhook has no name of its own.
    webhook: () => webhooks.flatMap(({ id }) => id ?? []),
    workflow: () => named(workflows),
    eventType: () => [...Object.keys(catalogue), ...own],
    ownEventType: () => own,
  };
  return [...new Set(names[kind]())].sort();
}
