import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

const about = {
  eventViewId: Type.String({ description: 'eview_…' }),
  name: Type.String(),
};
const example = { eventViewId: 'eview_01jq5x1d0wkz4s3v2n8m7b6c5a', name: 'failed-deliveries' };

/** Searches of the log that an organisation has saved under a name. */
export const eventViewEvents = {
  'event_view.saved': defineEvent({
    description: 'A search of the log was saved under a name, or its filter was changed.',
    system: true,
    data: Type.Object({
      ...about,
      filter: Type.Record(Type.String(), Type.String(), { description: 'parameters of `GET /api/v1/events`' }),
    }),
    example: { ...example, filter: { type: 'webhook.failed', source: 'millrace' } },
  }),
  'event_view.removed': defineEvent({
    description: 'A saved search of the log was removed.',
    system: true,
    data: Type.Object(about),
    example,
  }),
} as const;
