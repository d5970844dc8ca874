import { type Static, Type } from '@sinclair/typebox';

import { closed, nullable } from '../shapes/fields.js';

const time = Type.String({ format: 'date-time' });

/** What is sent to look a person up. */
export const SubjectLookup = closed(
  {
    id: Type.String({
      minLength: 1,
      maxLength: 1000,
      description: 'The id of the person, as the sender writes it.',
      examples: ['jane@acme.example'],
    }),
  },
  { $id: 'SubjectLookup' },
);
export type SubjectLookup = Static<typeof SubjectLookup>;

const subject = {
  id: Type.String({
    description: 'A keyed hash of the id that the sender gives the person.',
    examples: ['sub_3q2-7wAAAAAAAAAAAAAAAA'],
  }),
  state: Type.Union([Type.Literal('active'), Type.Literal('erased')], {
    description: 'erased: no key is left. active: events have fields that can be read.',
  }),
  createdAt: time,
  erasedAt: nullable(Type.String({ format: 'date-time', description: 'Of the last erasure; null: never.' })),
};

/** A person of whom events have personal fields. */
export const SubjectAnswer = Type.Object(subject, { $id: 'SubjectAnswer' });
export type SubjectAnswer = Static<typeof SubjectAnswer>;

/** The same with what the log has, and what an erasure does not reach. */
export const SubjectDetailAnswer = Type.Object(
  {
    ...subject,
    events: Type.Integer({ description: 'Events with personal fields of the person, or made from such events.' }),
    notReached: Type.Object(
      {
        sent: Type.Array(
          Type.Object({
            type: Type.String({ examples: ['webhook.delivered'] }),
            eventId: Type.String(),
            subject: Type.String({ examples: ['webhook/whk_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
            at: time,
          }),
          { description: 'The newest 100 events that tell of something sent to others.' },
        ),
        sentTotal: Type.Integer(),
        copies: Type.Array(Type.String(), { description: 'Copies outside of the server.' }),
      },
      { description: 'What an erasure cannot reach: ask those who have it to delete it.' },
    ),
  },
  { $id: 'SubjectDetailAnswer' },
);
export type SubjectDetailAnswer = Static<typeof SubjectDetailAnswer>;
