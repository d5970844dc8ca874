import { type Static, Type } from '@sinclair/typebox';

import { closed } from '../shapes/fields.js';

/** Fields of an event that belong to a person, as an integration, an event type or a rule declares them. */
export const PersonalFields = Type.Array(
  closed({
    subject: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'JMESPath over the event: the id of the person, or a list of ids.',
      examples: ['data.payload.user'],
    }),
    fields: Type.Array(Type.String({ minLength: 1, maxLength: 500, examples: ['data.payload.message'] }), {
      minItems: 1,
      maxItems: 100,
      description: 'Paths in `data`. `[*]` and `*` stand for every element or value.',
    }),
  }),
  { minItems: 1, maxItems: 20, description: 'Encrypted under a key for each person, until the person is erased.' },
);
export type PersonalFields = Static<typeof PersonalFields>;
