import { type Static, Type } from '@sinclair/typebox';

import { closed } from './fields.js';

/** What an organisation may call a secret. */
export const SECRET_NAME = '[A-Z][A-Z0-9_]{0,99}';
export const SECRET_NAME_IN_WORDS = 'up to 100 of A-Z, 0-9 and _, beginning with a letter';

/** A shorter value could not be masked where a receiver echoes it without spoiling what stands around it. */
export const LEAST_SECRET = 8;
const MOST_SECRET = 16_384;

/** What is sent to set a secret. */
export const SecretValue = closed(
  {
    value: Type.String({
      minLength: LEAST_SECRET,
      maxLength: MOST_SECRET,
      writeOnly: true,
      expected: `a string of ${LEAST_SECRET} to ${MOST_SECRET} characters`,
      description: 'Stored encrypted. No answer shows it.',
    }),
  },
  { $id: 'SecretValue' },
);
export type SecretValue = Static<typeof SecretValue>;

const time = Type.String({ format: 'date-time' });

/** A secret as it is listed: never its value. */
export const SecretAnswer = Type.Object(
  { name: Type.String({ examples: ['API_KEY'] }), createdAt: time, updatedAt: time },
  { $id: 'SecretAnswer' },
);
export type SecretAnswer = Static<typeof SecretAnswer>;
