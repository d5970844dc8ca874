import { isSchema } from '#libs/event-types/src/own-schema.js';
import type { Assuming } from '#libs/events/src/shapes/event-types/assuming-shape.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

/**
 * What a rule or a step refers to by id or name. An `integration` is one that sends messages, a `receiver` is any; a tracker is one
 * whose provider opens issues, or `builtin`.
 */
export type ReferenceKind = 'agent' | 'integration' | 'receiver' | 'secret' | 'tracker' | 'webhook' | 'workflow';

/** Something that can be referred to. */
export interface Named {
  readonly id?: string;
  readonly name: string;
  /** Of an integration: whether its provider sends messages, and whether it opens issues. */
  readonly sends?: boolean;
  readonly tracks?: boolean;
}

/** An event type of the organisation's own. An archived one takes no new events. */
export interface OwnEventType {
  readonly schema: JsonSchema;
  readonly archived: boolean;
}

/** WHAT AN ORGANISATION HAS, by name: given to everything that checks a rule, a workflow or a webhook. */
export interface OrganisationVocabulary {
  /** Sources of the events that integrations receive. */
  readonly sources: readonly string[];
  readonly eventTypes: ReadonlyMap<string, OwnEventType>;
  readonly agents: readonly Named[];
  readonly integrations: readonly Named[];
  readonly secrets: readonly Named[];
  readonly webhooks: readonly Named[];
  readonly workflows: readonly Named[];
}

export const NOTHING_KNOWN: OrganisationVocabulary = {
  sources: [],
  eventTypes: new Map(),
  agents: [],
  integrations: [],
  secrets: [],
  webhooks: [],
  workflows: [],
};

/** What there is once more has been saved. Of a schema that is none, nothing is known. */
export function assuming(
  vocabulary: OrganisationVocabulary,
  { eventTypes = {}, workflows = [] }: Assuming,
): OrganisationVocabulary {
  const own: readonly (readonly [string, OwnEventType])[] = Object.entries(eventTypes).map(
    ([type, schema]) => [type, { schema: isSchema(schema) ? schema : {}, archived: false }] as const,
  );
  return {
    ...vocabulary,
    eventTypes: new Map([...vocabulary.eventTypes, ...own]),
    workflows: [...vocabulary.workflows, ...workflows.map((name) => ({ name }))],
  };
}

/** A reference that leads nowhere, or to what cannot do what is asked. */
export interface ReferenceProblem {
  readonly code: string;
  readonly detail: string;
}

export const BUILT_IN_TRACKER = 'builtin';

const things = (kind: ReferenceKind, vocabulary: OrganisationVocabulary): readonly Named[] =>
  kind === 'tracker' || kind === 'receiver' ? vocabulary.integrations : vocabulary[`${kind}s`];

/** How to make what is missing. */
const REMEDIES: Readonly<Record<ReferenceKind, string>> = {
  agent: 'Executions wait until it exists: millrace agent create.',
  integration: 'Create it before the message is sent: millrace integration create.',
  receiver: 'The trigger starts runs once it exists: millrace integration create.',
  secret: 'Set it before it is used: millrace secret set NAME.',
  tracker: `Use "${BUILT_IN_TRACKER}", or the id or name of an integration: millrace integration ls.`,
  webhook: 'Use the id of an outbound webhook: millrace outbound-webhook ls.',
  workflow: 'Save it before it is started: millrace apply -f FILE.',
};

/** What is wrong with a reference, if anything. @param given an id or a name, without templates. */
export function referenceProblem(
  kind: ReferenceKind,
  given: string,
  vocabulary: OrganisationVocabulary,
): ReferenceProblem | undefined {
  if (kind === 'tracker' && given === BUILT_IN_TRACKER) return undefined;
  const known = things(kind, vocabulary);
  // A webhook has no name of its own: only its id refers to it.
  const found = known.filter(({ id, name }) => id === given || (kind !== 'webhook' && name === given));
  if (found.length === 0) return { code: `${calledBy(kind)}.unknown`, detail: unknown(kind, given, known) };
  if (kind === 'integration' && !found.some(({ sends }) => sends))
    return { code: 'integration.cannot_send', detail: cannot(given, 'sends no messages', known, 'sends') };
  if (kind === 'tracker' && !found.some(({ tracks }) => tracks))
    return { code: 'tracker.cannot_open', detail: cannot(given, 'opens no issues', known, 'tracks') };
  return undefined;
}

const calledBy = (kind: ReferenceKind): string => (kind === 'receiver' ? 'integration' : kind);

function unknown(kind: ReferenceKind, given: string, known: readonly Named[]): string {
  const byName = known.find(({ id, name }) => kind === 'webhook' && id !== undefined && name === given);
  const names = kind === 'webhook' ? known.flatMap(({ id }) => id ?? []) : known.map(({ name }) => name);
  const also = kind === 'tracker' ? [...names, BUILT_IN_TRACKER] : names;
  const meant = byName ? `Did you mean "${byName.id}"? ` : suggestion(given, also);
  return `There is no ${calledBy(kind)} "${given}". ${meant}${REMEDIES[kind].replace('NAME', given)}`;
}

function cannot(given: string, why: string, known: readonly Named[], can: 'sends' | 'tracks'): string {
  const others = known.filter((one) => one[can]).map(({ name }) => name);
  const instead = others.length === 0 ? '' : ` Use one of ${others.slice(0, 10).join(', ')}.`;
  return `The provider of the integration "${given}" ${why}.${instead}`;
}

/** Whether a text is known before the templates in it are filled in. */
export const isPlain = (given: unknown): given is string =>
  typeof given === 'string' && given !== '' && !given.includes('${{');

/** The keys of a schema's properties that refer to something: `Type.String({ refersTo: 'agent' })`. */
export const referencesOf = (schema: object): readonly (readonly [string, ReferenceKind])[] =>
  Object.entries((schema as { readonly properties?: object }).properties ?? {}).flatMap(([key, property]) => {
    const { refersTo } = property as { refersTo?: ReferenceKind };
    return refersTo === undefined ? [] : [[key, refersTo] as const];
  });
