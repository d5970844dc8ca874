import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

const kind = Type.String({ description: 'What is named: `agent`, `integration` …' });
const name = Type.String();

/** How names stay unique: who wants one reserves it first, in a stream named after it. */
export const nameEvents = {
  'name.reserved': defineEvent({
    description: 'A name was reserved. The reservation is valid if the next event of the holder uses it.',
    system: true,
    data: Type.Object({
      kind,
      name,
      /** Id of the thing that is about to have the name. */
      holder: Type.String(),
      /** Where the stream of the holder ended then, as text; -1 if there was none. */
      revision: Type.String({ pattern: '^(-1|[0-9]+)$' }),
    }),
    example: { kind: 'agent', name: 'triage', holder: 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a', revision: '-1' },
  }),
  'name.lapsed': defineEvent({
    description: 'A reservation expired: the holder did not use the name in time and no longer can.',
    system: true,
    data: Type.Object({ kind, name }),
    example: { kind: 'agent', name: 'triage' },
  }),
} as const;
