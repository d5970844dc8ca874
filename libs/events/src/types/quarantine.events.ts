import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

const eventId = Type.String({ description: 'evt_…' });
const example = { eventId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a' };

/** Events that are marked as bad. */
export const quarantineEvents = {
  'event.quarantined': defineEvent({
    description:
      'An event was put in quarantine: everything that has not processed it yet passes over it. The event stays in the log.',
    system: true,
    data: Type.Object({ eventId, reason: Type.String() }),
    example: { ...example, reason: 'Sent by a test system to production.' },
  }),
  'event.released': defineEvent({
    description: 'An event was released from quarantine: what reads it from now on processes it again.',
    system: true,
    data: Type.Object({ eventId }),
    example,
  }),
} as const;
