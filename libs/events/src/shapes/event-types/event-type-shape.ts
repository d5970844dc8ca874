import { type Static, Type } from '@sinclair/typebox';

import { closed, nullable } from '../fields.js';
import { PersonalFields } from '../../personal/personal-shape.js';

const description = Type.String({
  minLength: 1,
  maxLength: 2000,
  expected: '1 to 2000 characters',
  examples: ['A new developer was added to the organization.'],
});
const anObject = (text: string) =>
  Type.Record(Type.String(), Type.Unknown(), { description: text, expected: 'an object' });

const content = {
  description,
  schema: anObject('JSON Schema (2020-12) of `data`, with `type: object`.'),
  example: anObject('An example of `data`. Must fit the schema.'),
  personal: Type.Optional(PersonalFields),
};

/** What is sent for a new version of an event type. */
export const EventTypeVersion = closed(content, { $id: 'EventTypeVersion' });
export type EventTypeVersion = Static<typeof EventTypeVersion>;

/** What is sent to create an event type. */
export const NewEventType = closed(
  {
    type: Type.String({
      pattern: '^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)+$',
      maxLength: 100,
      expected: 'at most 100 lower-case letters, digits, "_" and ".", in two parts or more: developer.added',
      examples: ['developer.added'],
    }),
    ...content,
  },
  { $id: 'NewEventType' },
);
export type NewEventType = Static<typeof NewEventType>;

/** The answer to checking an event type. */
export const EventTypeCheck = Type.Object(
  { valid: Type.Literal(true), type: Type.String() },
  { $id: 'EventTypeCheck' },
);
export type EventTypeCheck = Static<typeof EventTypeCheck>;

/** An event type as it is answered. */
export const EventTypeAnswer = Type.Object(
  {
    type: Type.String({ examples: ['git.push'] }),
    description: Type.String(),
    builtIn: Type.Boolean({ description: 'Part of Millrace. `false`: an event type of the organisation.' }),
    system: Type.Boolean({ description: 'Recorded by Millrace about itself; `*` does not match it.' }),
    version: Type.Integer({ description: 'Current version of `data`.' }),
    archived: Type.Boolean({ description: 'No new events of it are accepted.' }),
    schema: Type.Unknown({ description: 'JSON Schema of `data`.' }),
    example: Type.Unknown({ description: 'An example of `data`.' }),
    personal: nullable(PersonalFields),
    updatedAt: nullable(Type.String({ format: 'date-time', description: 'null for built-in types.' })),
  },
  { $id: 'EventTypeAnswer' },
);
export type EventTypeAnswer = Static<typeof EventTypeAnswer>;

/** A version of an event type, with what it was. */
export const EventTypeVersionAnswer = Type.Object(
  { version: Type.Integer(), ...content, createdAt: Type.String({ format: 'date-time' }), createdBy: Type.String() },
  { $id: 'EventTypeVersionAnswer' },
);
export type EventTypeVersionAnswer = Static<typeof EventTypeVersionAnswer>;
