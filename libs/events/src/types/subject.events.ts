import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

/** People of whom events have personal fields. Nothing here tells who they are. */
export const subjectEvents = {
  'subject.erased': defineEvent({
    description: 'A person was erased: the keys of the personal fields are destroyed. Who did it is the actor.',
    system: true,
    data: Type.Object({
      subjectId: Type.String({ description: 'sub_…, a keyed hash of the id that the sender gives the person' }),
      keys: Type.Array(Type.String(), { description: 'names of the keys that are destroyed' }),
    }),
    example: { subjectId: 'sub_3q2-7wAAAAAAAAAAAAAAAA', keys: ['Zm9vYmFyYmF6'] },
  }),
} as const;
