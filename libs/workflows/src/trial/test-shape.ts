import { type Static, Type } from '@sinclair/typebox';

import { RunError } from '#libs/events/src/shapes/run-shape.js';
import { SECRET_NAME, SECRET_NAME_IN_WORDS } from '#libs/events/src/shapes/secret-shape.js';
import { NAMES } from '#libs/events/src/shapes/named-shapes.js';

import { closed } from '../language/fields.js';
import { forEditors } from '../language/workflow-schema.js';
import { SPAN_IN_WORDS, SPAN_PATTERN } from './spans.js';

const text = (description: string) => Type.String({ minLength: 1, description });
const values = (description: string) =>
  Type.Record(Type.String(), Type.Unknown(), { description, expected: 'an object of names and values' });
const span = (description: string) => Type.String({ pattern: SPAN_PATTERN, description, expected: SPAN_IN_WORDS });

const eventFields = {
  type: { ...text('The type of the event.'), [NAMES]: 'eventType' },
  source: Type.Optional(text('Where it comes from. Default: the source that the trigger names, else api.')),
  subject: Type.Optional(text('What it is about.')),
  data: Type.Optional(values('What it says.')),
};

export const MockShape = closed(
  {
    output: Type.Optional(Type.Unknown({ description: 'What the step gives. Default null.' })),
    error: Type.Optional(
      closed(
        {
          type: Type.Optional(RunError.properties.type),
          code: text('Such as http.status.'),
          message: Type.Optional(text('For people.')),
          retryable: Type.Optional(
            Type.Boolean({ description: 'Whether `retry` of the step tries again. Default true.' }),
          ),
          output: Type.Optional(Type.Unknown({ description: 'What the step gives although it failed.' })),
        },
        'How the step fails.',
      ),
    ),
    delay: Type.Optional(span('How long the answer takes. Default: no time.')),
  },
  'One answer of a step.',
);
export type Mock = Static<typeof MockShape>;

export const ExpectedStepShape = closed(
  {
    id: text('The id of the step, or its path, such as each[0].call.'),
    status: Type.Optional(
      Type.Union(
        ['completed', 'failed', 'skipped', 'cancelled', 'waiting', 'running'].map((status) => Type.Literal(status)),
        { description: 'How the step ended, or where it stands.' },
      ),
    ),
    with: Type.Optional(
      Type.Unknown({ description: 'The input of the step; keys that are left out may be anything.' }),
    ),
    output: Type.Optional(Type.Unknown({ description: 'What the step gave.' })),
    error: Type.Optional(values('How it failed, such as its code.')),
    attempts: Type.Optional(Type.Integer({ minimum: 1, description: 'How often it was tried.' })),
  },
  'One step of the run.',
);

export const ExpectShape = Type.Object(
  {
    status: Type.Optional(
      Type.Union(
        ['completed', 'failed', 'cancelled', 'waiting', 'not_started'].map((status) => Type.Literal(status)),
        { description: 'How the run ends. `waiting`: it waits without end. `not_started`: no trigger fits the event.' },
      ),
    ),
    outputs: Type.Optional(values('The outputs of the run.')),
    error: Type.Optional(values('Why the run failed, such as its code.')),
    steps: Type.Optional(
      Type.Array(ExpectedStepShape, { description: 'In this order; other steps may come in between.' }),
    ),
    only: Type.Optional(Type.Boolean({ description: '`true`: no other steps than those of `steps`.' })),
    events: Type.Optional(
      Type.Array(closed(eventFields, 'An event that the run appends.'), {
        description: 'In this order; other events may come in between.',
      }),
    ),
    time: Type.Optional(span('The virtual time from the start to the end.')),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'What must be so in the end. Maps are compared by the keys that are given.',
    expected: 'an object with at least one of status, outputs, error, steps, events and time',
  },
);
export type Expected = Static<typeof ExpectShape>;

const StartingEvent = closed(
  { ...eventFields, id: Type.Optional(text('Default: one of its own.')) },
  'An event that starts a run.',
);

export const CaseShape = closed(
  {
    name: text('What the test shows, in a sentence.'),
    event: Type.Optional(
      Type.Union([StartingEvent, Type.Array(StartingEvent, { minItems: 1 })], {
        description: 'The event that starts the run; for a trigger with `batch` also a list. A trigger must fit it.',
        expected: 'an event (type, source, subject, data) or a list of events',
      }),
    ),
    inputs: Type.Optional(values('The inputs of a manual run.')),
    now: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'When the run starts. Default 2026-01-01T00:00:00Z; of a run at a tick the first one since then.',
        expected: 'an RFC 3339 time such as 2026-11-20T09:00:00Z',
      }),
    ),
    runId: Type.Optional(
      Type.String({
        pattern: '^run_[0-9a-hjkmnp-tv-z]{26}$',
        description: 'What follows from the id of the run, such as the jitter of retries, is then as in that run.',
        expected: 'the id of a run, such as run_01jq5x1d0wkz4s3v2n8m7b6c5a',
      }),
    ),
    retrySchedule: Type.Optional(
      Type.Array(span('A delay.'), { description: '`settings.retrySchedule`. Default [1m, 5m, 30m, 2h, 24h].' }),
    ),
    secrets: Type.Optional(
      Type.Record(Type.String({ pattern: `^${SECRET_NAME}$` }), Type.String({ minLength: 1 }), {
        additionalProperties: false,
        [NAMES]: 'secret',
        description: 'Values of secrets, by name. A step that uses another secret fails with `secret.unknown`.',
        expected: `an object of names and strings; a name has ${SECRET_NAME_IN_WORDS}`,
      }),
    ),
    mocks: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Union([MockShape, Type.Array(MockShape, { minItems: 1 })], {
          expected: 'an answer (output, error, delay) or a list of answers',
        }),
        {
          description:
            'Answers of steps with effects, by the id of the step, or by its path, such as each[0].call. Of a list, each call takes one; the last one repeats. A detached step needs one too, but does not wait for it.',
          expected: 'an object of step ids and answers',
        },
      ),
    ),
    events: Type.Optional(
      Type.Array(
        closed(
          { at: span('So long after the start.'), ...eventFields },
          'An event that comes while the run is under way.',
        ),
        { description: 'Events for the steps that wait for one.' },
      ),
    ),
    cancelAt: Type.Optional(span('Cancels the run this long after the start, if it has not ended by then.')),
    expect: ExpectShape,
  },
  'One run in virtual time.',
);
export type TestEvent = NonNullable<Static<typeof CaseShape>['events']>[number];
export type TestCase = Static<typeof CaseShape>;

export const TestFileShape = closed(
  { tests: Type.Array(CaseShape, { minItems: 1, description: 'Each is one run.' }) },
  'Tests of the workflow that stands beside this file: name.test.yaml beside name.yaml.',
);

/** The JSON Schema (draft 7) with which editors complete and check a test file. */
export const workflowTestSchema = (): object => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Tests of a Millrace workflow',
  ...(forEditors(TestFileShape) as object),
});
