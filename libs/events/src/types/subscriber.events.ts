import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

/** What the runner tells about the subscribers that it runs. */
export const subscriberEvents = {
  'subscriber.parked': defineEvent({
    description: 'A subscriber parked an event after repeated failures and continued. The event can be retried.',
    system: true,
    data: Type.Object({
      subscriber: Type.String(),
      /** Of the parked event: a whole number as text, since positions go beyond 2^53. */
      position: Type.String({ pattern: '^[0-9]+$' }),
      /** UUID of the parked event. */
      eventId: Type.String(),
      type: Type.String(),
      reason: Type.String(),
    }),
    example: {
      subscriber: 'rules.decide',
      position: '4711',
      eventId: '01932f1d-6a3c-7c1e-8f00-2b1d9a7c5e01',
      type: 'git.push',
      reason: 'Cannot read properties of null',
    },
  }),
} as const;
