import { type Static, Type } from '@sinclair/typebox';

import { closed } from '../fields.js';

const reason = Type.String({
  minLength: 1,
  maxLength: 1000,
  expected: '1 to 1000 characters',
  description: 'Why the event is bad. Everybody who reads the event sees it.',
  examples: ['Sent by a test system to production.'],
});

/** What is sent to put an event in quarantine. */
export const NewQuarantine = closed({ reason }, { $id: 'NewQuarantine' });
export type NewQuarantine = Static<typeof NewQuarantine>;

/** An event in quarantine. */
export const QuarantineAnswer = Type.Object(
  {
    eventId: Type.String({ examples: ['evt_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    reason,
    by: Type.String({ description: 'Who put it there.', examples: ['token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    at: Type.String({ format: 'date-time' }),
  },
  { $id: 'QuarantineAnswer' },
);
export type QuarantineAnswer = Static<typeof QuarantineAnswer>;
