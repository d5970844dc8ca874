import { type Static, Type } from '@sinclair/typebox';

import { closed } from '../fields.js';

/** What is to be saved together with what is checked: it counts as if it were there. */
export const Assuming = closed(
  {
    eventTypes: Type.Optional(
      Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()), {
        description: 'JSON Schemas of event types, by type.',
      }),
    ),
    workflows: Type.Optional(Type.Array(Type.String(), { description: 'Names of workflows.' })),
  },
  { $id: 'Assuming', description: 'What is saved together with it: event types and workflows that do not exist yet.' },
);
export type Assuming = Static<typeof Assuming>;
