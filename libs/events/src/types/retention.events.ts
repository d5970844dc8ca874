import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

/** What retention can remove, each after a number of days of its own. */
export const RETAINED = ['payloads', 'decisions', 'attempts', 'runs'] as const;
export type Retained = (typeof RETAINED)[number];

const days = Type.Optional(Type.Integer({ minimum: 1, description: 'days; absent: kept without limit' }));

/** How long an organisation keeps what is in the log, and what was removed since. */
export const retentionEvents = {
  'retention.changed': defineEvent({
    description: 'An organisation changed how long it keeps payloads, decisions, attempts and runs.',
    system: true,
    data: Type.Object({ payloads: days, decisions: days, attempts: days, runs: days }),
    example: { payloads: 90, decisions: 30 },
  }),
  'retention.applied': defineEvent({
    description:
      'Retention removed events from the log. Their hashes stay in the tree: verification accepts exactly these as removed.',
    system: true,
    data: Type.Object({
      kind: Type.Union(RETAINED.map((kind) => Type.Literal(kind))),
      before: Type.String({ description: 'RFC 3339 UTC; all of them were received before' }),
      events: Type.Integer({ minimum: 1 }),
      streams: Type.Array(
        Type.Object({
          stream: Type.String(),
          revision: Type.String({ pattern: '^[0-9]+$', description: 'of the last event that was removed' }),
        }),
      ),
      leaves: Type.String({ description: 'places in the tree of the whole log: `0-99,105`' }),
      ownLeaves: Type.String({ description: 'places in the tree of the organisation' }),
    }),
    example: {
      kind: 'payloads',
      before: '2026-08-30T00:00:00.000Z',
      events: 2,
      streams: [
        { stream: 'inbound-0198c0de-0000-7000-8000-000000000001', revision: '0' },
        { stream: 'inbound-0198c0de-0000-7000-8000-000000000002', revision: '0' },
      ],
      leaves: '105,107',
      ownLeaves: '40-41',
    },
  }),
} as const;
