import { type TObject, type TSchema, Type, type TUnsafe } from '@sinclair/typebox';

import type { EventDraft } from '#libs/event-store/src/new-event.js';
import type { ACTION_REQUESTS } from '#libs/events/src/types/actions/action.events.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Json, JsonObject } from '#libs/kernel/src/json.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import type { ReferenceKind } from '#libs/vocabulary/src/vocabulary.js';

/** The events by which a rule asks another stage for something. */
export type RequestType = (typeof ACTION_REQUESTS)[keyof typeof ACTION_REQUESTS] | 'action.requested';
export type ActionRequest = EventDraft<RequestType>;

/** Who asks, and because of which event. */
export type RequestContext = Pick<DataOf<'webhook.requested'>, 'requestedBy' | 'eventId' | 'event'>;

/** One kind of action: everything that is known about it. `T` is the event by which it is asked for. */
export interface ActionKind<T extends RequestType = RequestType> {
  /** What it does, in a sentence or two of Markdown: for editors and the documentation. */
  readonly description: string;
  /** `with`, before its templates are filled in. What a template gives is not known yet: its values are open. */
  readonly with: TObject;
  /** Whether `with` may have secrets: the action sends them out, and what is recorded does not have them. */
  readonly takesSecrets?: true;
  /** What `with` cannot say. Called only where everything fits it. */
  readonly check?: (given: Record<string, unknown>, pointer: string, problems: Problems) => void;
  /**
   * What the event of the request says, beside who asks.
   * @param filled `with`, its templates filled in.
   * @param rule its name.
   * @throws Rejected `action.unfit` if the action cannot use what a template gave.
   */
  readonly request: (filled: JsonObject, rule: string) => Omit<DataOf<T>, keyof RequestContext>;
}

const required = { not: { enum: [null, ''] }, expected: 'a value that is not empty' };

/** A key of `with` that must be there. @param refersTo what it is the id or name of. */
export const needed = (description: string, refersTo?: ReferenceKind): TUnsafe<unknown> =>
  Type.Unsafe<unknown>({ description, ...required, ...(refersTo && { refersTo }) });

/** A key of `with` that may be left out. */
export const optional = (description: string, refersTo?: ReferenceKind) =>
  Type.Optional(Type.Unknown({ description, ...(refersTo && { refersTo }) }));

/** The keys of `with`, and no others. */
export const keys = (properties: Record<string, TSchema>): TObject =>
  Type.Object(properties, { additionalProperties: false });

/** A value as text, as an interpolated template would have it: nothing for null, JSON for what is not a string. */
export const textOf = (value: Json | undefined): string =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : stringifyJson(value);

/** The values as texts; a single one counts as a list of one, and empty ones are left out. */
export const textsOf = (value: Json): string[] =>
  (Array.isArray(value) ? value.map(textOf) : [textOf(value)]).filter(Boolean);

/** @throws Rejected `action.unfit` if it is empty. */
export function neededText(filled: JsonObject, key: string): string {
  const value = textOf(filled[key]);
  if (value === '') throw unusable(key, 'a string', filled[key] ?? null);
  return value;
}

/** Those of the keys that are not empty, as texts. */
export function givenTexts<Key extends string>(filled: JsonObject, ...names: readonly Key[]): { [K in Key]?: string } {
  const given: { [K in Key]?: string } = {};
  for (const name of names) {
    const value = textOf(filled[name]);
    if (value !== '') given[name] = value;
  }
  return given;
}

/** What a template gave is not what the action needs. */
export const unusable = (key: string, wanted: string, value: unknown): Rejected =>
  new Rejected(
    'invalid',
    'action.unfit',
    `"${key}" must be ${wanted} when its templates are filled in, but is ${typeName(value)}.`,
  );

const typeName = (value: unknown): string =>
  value === null ? 'null' : value === '' ? 'empty' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
