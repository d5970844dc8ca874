import { type Static, Type } from '@sinclair/typebox';

import { closed } from './fields.js';

/** THE SHAPE OF AN INPUT, as a workflow declares it, and as the form of an approval does. */
export const InputShape = closed(
  {
    type: Type.Union(
      [
        Type.Literal('string'),
        Type.Literal('number'),
        Type.Literal('boolean'),
        Type.Literal('select'),
        Type.Literal('list'),
        Type.Literal('object'),
      ],
      { description: '`list` and `object` are JSON.' },
    ),
    description: Type.Optional(Type.String({ maxLength: 2000, description: 'For people.' })),
    required: Type.Optional(Type.Boolean({ description: 'Must be given, and not null. Default false.' })),
    default: Type.Optional(Type.Unknown({ description: 'The value where none is given.' })),
    options: Type.Optional(
      Type.Array(Type.Union([Type.String(), Type.Number()]), {
        minItems: 1,
        maxItems: 200,
        description: 'Of a select.',
      }),
    ),
    min: Type.Optional(
      Type.Number({ description: 'Of a number: the smallest. Of a string or list: the smallest length.' }),
    ),
    max: Type.Optional(
      Type.Number({ description: 'Of a number: the largest. Of a string or list: the largest length.' }),
    ),
    pattern: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        description: 'Of a string: a regular expression (RE2) that must match somewhere; anchor it with ^ and $.',
      }),
    ),
  },
  { description: 'One input.' },
);
export type InputSpec = Static<typeof InputShape>;
