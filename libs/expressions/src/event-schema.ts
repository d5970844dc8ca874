import { type EventType, shownDefinition } from '#libs/events/src/catalogue.js';

import type { JsonSchema } from './schema.js';

const TEXT = { type: 'string' };

/**
 * An event of one of these types as expressions see it: a field is known if one of the types has it.
 * @param others schemas of `data` of types that are not built in.
 */
export const eventSchema = (types: readonly EventType[], others: readonly JsonSchema[] = []): JsonSchema => ({
  type: 'object',
  required: ['id', 'type', 'source', 'subject', 'orgId', 'timestamp', 'data'],
  properties: {
    id: TEXT,
    type: TEXT,
    source: TEXT,
    subject: TEXT,
    orgId: TEXT,
    timestamp: TEXT,
    data: { anyOf: [...types.map((type) => shownDefinition(type).data as JsonSchema), ...others] },
  },
});
