import { Type } from '@sinclair/typebox';

import { PersonalFields } from '../personal/personal-shape.js';
import { defineEvent } from '../define-event.js';

const about = {
  eventTypeId: Type.String({ description: 'ety_…' }),
  type: Type.String({ description: 'such as `developer.added`' }),
};
const example = { eventTypeId: 'ety_01jq5x1d0wkz4s3v2n8m7b6c5a', type: 'developer.added' };

/** Event types that organisations add to the catalogue. */
export const eventTypeEvents = {
  'event_type.saved': defineEvent({
    description: 'An event type was created, got a new version, or was restored.',
    system: true,
    data: Type.Object({
      ...about,
      version: Type.Integer({ minimum: 1 }),
      description: Type.String(),
      schema: Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema (2020-12) of `data`' }),
      example: Type.Record(Type.String(), Type.Unknown()),
      personal: Type.Optional(PersonalFields),
    }),
    example: {
      ...example,
      version: 1,
      description: 'A new developer was added to the organization.',
      schema: { type: 'object', required: ['developer_id'], properties: { developer_id: { type: 'string' } } },
      example: { developer_id: 'dev_456' },
    },
  }),
  'event_type.archived': defineEvent({
    description: 'An event type was archived: it accepts no new events.',
    system: true,
    data: Type.Object(about),
    example,
  }),
} as const;
