import { type Static, Type } from '@sinclair/typebox';

import { nullable } from '../fields.js';

const time = Type.String({ format: 'date-time' });
const position = Type.String({ description: 'Position in the log.', examples: ['4711'] });

/** A thing at a place in the log. */
export const PastAnswer = Type.Object(
  { createdAt: time, createdBy: Type.String(), updatedAt: time, updatedBy: Type.String() },
  {
    $id: 'PastAnswer',
    additionalProperties: true,
    description: 'The fields of the list of this kind as they were, without secrets, counts and addresses.',
  },
);
export type PastAnswer = Static<typeof PastAnswer> & Readonly<Record<string, unknown>>;

/** A page of things at a place in the log. */
export const PastPage = Type.Object(
  {
    data: Type.Array(PastAnswer),
    nextCursor: nullable(Type.String({ description: 'Pass it as `cursor` to get the next page.' })),
    position: Type.String({ description: 'Everything up to this position of the log is in it.' }),
  },
  { $id: 'PastPage' },
);
export type PastPage = Omit<Static<typeof PastPage>, 'data'> & { data: PastAnswer[] };

/** A field that differs. What was not there is absent. */
export const FieldDifference = Type.Object({
  pointer: Type.String({ description: 'JSON pointer.', examples: ['/conditions/value'] }),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
});
export type FieldDifference = Static<typeof FieldDifference>;

/** One event that changed a thing. */
export const PastChange = Type.Object({
  position,
  eventId: Type.String(),
  type: Type.String({ examples: ['rule.updated'] }),
  at: time,
  actor: Type.String({ examples: ['token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
  actorName: nullable(Type.String({ description: 'The name that the token, rule or other actor had then.' })),
  fields: Type.Array(FieldDifference, { description: 'Empty where a secret changed.' }),
});
export type PastChange = Static<typeof PastChange>;

/** What happened to one thing. */
export const ThingDifference = Type.Object({
  kind: Type.String({ examples: ['rules'] }),
  key: Type.String({ description: 'Its id; the name of a workflow or secret, the type of an event type.' }),
  name: nullable(Type.String()),
  change: Type.Union(
    [Type.Literal('created'), Type.Literal('changed'), Type.Literal('removed'), Type.Literal('passed')],
    { description: '`passed`: created and removed in between.' },
  ),
  fields: Type.Array(FieldDifference, { description: 'Between the two points.' }),
  changes: Type.Array(PastChange, { description: 'The events that did it, in order.' }),
});
export type ThingDifference = Static<typeof ThingDifference>;

/** What changed between two points of the log. */
export const Difference = Type.Object(
  { from: position, to: position, data: Type.Array(ThingDifference) },
  { $id: 'AsOfDifference' },
);
export type Difference = Static<typeof Difference>;
