import { type Static, type TSchema, Type } from '@sinclair/typebox';

import { closed, nullable } from '../fields.js';

const days = Type.Integer({
  minimum: 1,
  maximum: 36_500,
  expected: 'a whole number of days from 1 to 36500',
  examples: [90],
});
const orKept = (description: string): TSchema => ({ ...nullable(days), description: `${description} Null: kept.` });

const fields = {
  payloads: orKept('Days that received and published events are kept.'),
  decisions: orKept('Days that decisions of rules and triggers are kept.'),
  attempts: orKept('Days that deliveries, messages and actions are kept, with requests and answers.'),
  runs: orKept('Days that runs and executions of agents are kept after their end, with inputs and outputs.'),
};

/** What is sent to change retention: what is left out is kept without limit. */
export const RetentionBody = closed(
  {
    payloads: Type.Optional(fields.payloads),
    decisions: Type.Optional(fields.decisions),
    attempts: Type.Optional(fields.attempts),
    runs: Type.Optional(fields.runs),
  },
  { $id: 'RetentionBody' },
);
export type RetentionBody = Static<typeof RetentionBody>;

/** How long an organisation keeps what is in the log. */
export const RetentionAnswer = Type.Object(fields, { $id: 'RetentionAnswer' });
export interface RetentionAnswer {
  readonly payloads: number | null;
  readonly decisions: number | null;
  readonly attempts: number | null;
  readonly runs: number | null;
}
