import { type Static, Type } from '@sinclair/typebox';

import type { Json } from '#libs/kernel/src/json.js';

import { RuleWarning } from './rule-shape.js';

const pointer = Type.String({ description: 'JSON pointer into the rule.' });
const condition = Type.String({ description: 'The condition in words.', examples: ['data.branch equals "main"'] });
const field = Type.String({ description: 'JMESPath of the value.' });

/** The first condition that decided against a rule, and what it saw. Long values are cut to 200 characters of JSON. */
export const FailedCondition = Type.Object({
  pointer,
  condition,
  field,
  actual: Type.Unknown(),
  expected: Type.Unknown(),
});
export type FailedCondition = Static<typeof FailedCondition>;

/** One line of an explanation: a condition, or a group with its verdict. */
export const TraceEntry = Type.Object({
  pointer,
  condition,
  holds: Type.Boolean(),
  field: Type.Optional(field),
  actual: Type.Optional(Type.Unknown()),
  expected: Type.Optional(Type.Unknown()),
});
export type TraceEntry = Static<typeof TraceEntry>;

const key = Type.String({ description: 'Filled in.' });

/** What a rule would make of an event. */
export const RuleTrial = Type.Object(
  {
    outcome: Type.Union([Type.Literal('matched'), Type.Literal('not_matched'), Type.Literal('errored')]),
    failed: Type.Optional(FailedCondition),
    error: Type.Optional(Type.String({ description: 'In words.' })),
    trace: Type.Array(TraceEntry, { description: 'What every condition saw.' }),
    warnings: Type.Array(RuleWarning, { description: 'Allowed, but probably not intended.' }),
    actions: Type.Array(
      Type.Object({
        type: Type.String(),
        with: Type.Unsafe<Json>(Type.Unknown({ description: 'Filled in.' })),
        request: Type.Object(
          { type: Type.String(), data: Type.Unknown() },
          { description: 'The event that would request it.' },
        ),
      }),
    ),
    flow: Type.Optional(
      Type.Object(
        {
          throttle: Type.Optional(Type.Object({ key, limit: Type.Integer(), per: Type.String() })),
          once: Type.Optional(Type.Object({ key, quiet: Type.String() })),
          debounce: Type.Optional(Type.Object({ key, quiet: Type.String(), maxWait: Type.Optional(Type.String()) })),
          window: Type.Optional(Type.Object({ text: Type.String({ description: 'The hours, in words.' }) })),
        },
        { description: 'What could hold back a match, if the rule has it. A test counts nothing.' },
      ),
    ),
  },
  { $id: 'RuleTrial' },
);
export type RuleTrial = Static<typeof RuleTrial>;
