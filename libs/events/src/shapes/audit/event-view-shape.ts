import { type Static, Type } from '@sinclair/typebox';

import { closed } from '../fields.js';

const text = Type.Optional(Type.String({ minLength: 1, maxLength: 4000, expected: '1 to 4000 characters' }));

/** Parameters of `GET /api/v1/events` that a view can hold. */
const EventViewFilter = closed({
  ...{ type: text, source: text, subject: text, correlation: text, actor: text, text, filter: text },
  ...{ by: text, from: text, to: text, fromPosition: text, toPosition: text },
});
const filter = { ...EventViewFilter, description: 'Parameters of `GET /api/v1/events`, as texts.' };

const name = Type.String({
  pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
  expected: 'up to 63 lower-case letters, digits, ".", "_" and "-", of which the first is a letter or a digit',
  examples: ['failed-deliveries'],
});

/** What is sent to change a saved view. */
export const EventViewChange = closed({ filter }, { $id: 'EventViewChange' });
export type EventViewChange = Static<typeof EventViewChange>;

/** What is sent to save a view. */
export const NewEventView = closed({ name, filter }, { $id: 'NewEventView' });
export type NewEventView = Static<typeof NewEventView>;

/** A saved view as it is answered. */
export const EventViewAnswer = Type.Object(
  {
    name,
    filter,
    createdBy: Type.String(),
    updatedAt: Type.String({ format: 'date-time' }),
  },
  { $id: 'EventViewAnswer' },
);
export type EventViewAnswer = Static<typeof EventViewAnswer>;
