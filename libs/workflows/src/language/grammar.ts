import { type TObject, type TSchema, Type } from '@sinclair/typebox';

/**
 * The YAML language, as JSON Schemas from which three things follow: what the parser accepts, what its messages say is
 * allowed, and the schema that editors complete with. `expected` words a schema for people.
 */
const text = (description: string, more: object = {}) => Type.String({ description, ...more });

export const Duration = Type.String({
  pattern: '^\\d{1,12}(ms|s|m|h|d)$',
  description: 'A duration: 250ms, 10s, 5m, 2h, 3d.',
  expected: 'a duration: a whole number and ms, s, m, h or d, such as 30s or 5m',
});
const Template = Type.String({ minLength: 1, description: 'Text, with ${{ JMESPath }} where values go.' });
export const Condition = Type.Union([Type.String({ minLength: 1 }), Type.Boolean()], {
  description: "JMESPath, true by JMESPath's rules. ${{ }} around it may be left out.",
  expected: 'a JMESPath expression, true or false',
});
const Globs = Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
  expected: 'a text or a list of texts',
});
const whole = (minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, description, expected: `a whole number from ${minimum} to ${maximum}` });

/** Most items of one forEach, and most steps in one list. */
export const MAX_ITEMS = 1000;
export const MAX_STEPS = 200;

export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

export const Retry = Type.Object(
  {
    maxAttempts: Type.Optional(whole(1, 100, 'With the first. Default 3.')),
    delay: Type.Optional({ ...Duration, description: 'Before the second attempt. Default 10s.' } as typeof Duration),
    backoff: Type.Optional(
      Type.Union([Type.Literal('fixed'), Type.Literal('exponential')], {
        description: 'exponential doubles the delay each time. Default exponential.',
      }),
    ),
    maxDelay: Type.Optional({ ...Duration, description: 'No delay is longer. Default 5m.' } as typeof Duration),
    jitter: Type.Optional(
      Type.Boolean({
        description: 'Shortens each delay by up to a half, so that not all come back at once. Default true.',
      }),
    ),
  },
  { additionalProperties: false, description: 'Other attempts, where a failure may pass.' },
);

const common = {
  id: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$',
      description: 'How expressions name the step: steps.<id>.output. Unique in the workflow.',
      expected: 'up to 64 letters, digits and _, not beginning with a digit (expressions name it: steps.<id>)',
    }),
  ),
  name: Type.Optional(text('For people.', { maxLength: 200 })),
  if: Type.Optional(Condition),
  timeout: Type.Optional({ ...Duration, description: 'The step fails when it takes longer.' } as typeof Duration),
  onError: Type.Optional(
    Type.Union([Type.Literal('fail'), Type.Literal('continue')], {
      description: 'continue: the run goes on, and steps.<id>.status is "failed". Default fail.',
    }),
  ),
};

const closed = <P extends TObject['properties']>(properties: P, description: string) =>
  Type.Object(properties, { additionalProperties: false, description });

/** Every shape of the language; `steps` is the schema of a nested list of steps. */
export const shapes = (steps: TSchema) => ({
  workflow: closed(
    {
      name: Type.String({
        pattern: NAME_PATTERN,
        description: 'Unique; part of the address.',
        expected: 'up to 100 letters, digits, ".", "_" and "-", beginning with a letter or digit',
      }),
      description: Type.Optional(text('What it is for.', { maxLength: 2000 })),
      triggers: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 50, description: 'What starts a run.' })),
      timeout: Type.Optional({ ...Duration, description: 'A run that takes longer fails.' } as typeof Duration),
      steps,
      onFailure: Type.Optional({
        ...steps,
        description: 'Done when the steps fail, with `error` in scope.',
      } as TSchema),
      outputs: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), {
          description: 'What a completed run shows, with templates.',
          expected: 'a mapping of names to values',
        }),
      ),
    },
    'A workflow of Millrace.',
  ),
  eventTrigger: closed(
    {
      type: Type.Literal('event'),
      event: {
        ...Globs,
        description: 'Event types, with globs; * is all but system types and webhook.*.',
        expected: 'an event type, a glob such as pr.*, or a list of them',
      },
      source: Type.Optional({ ...Globs, description: 'Where the event comes from, with globs.' } as typeof Globs),
      branches: Type.Optional({
        ...Globs,
        description: 'Of git.push and pr.*; * stops at /, ** does not.',
      } as typeof Globs),
      paths: Type.Optional({
        ...Globs,
        description: 'Of git.push: one changed file that fits is enough.',
      } as typeof Globs),
      when: Type.Optional({ ...Condition, description: 'JMESPath over the event.' } as typeof Condition),
    },
    'Starts a run for each event that fits.',
  ),
  manualTrigger: closed(
    {
      type: Type.Literal('manual'),
      inputs: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), {
          description: 'What is asked for, by name.',
          expected: 'a mapping of names to inputs',
        }),
      ),
    },
    'Lets people and programs start a run.',
  ),
  input: closed(
    {
      type: Type.Union([
        Type.Literal('string'),
        Type.Literal('number'),
        Type.Literal('boolean'),
        Type.Literal('select'),
      ]),
      description: Type.Optional(text('For people.')),
      required: Type.Optional(Type.Boolean()),
      default: Type.Optional(Type.Unknown()),
      options: Type.Optional(
        Type.Array(Type.Union([Type.String(), Type.Number()]), {
          minItems: 1,
          maxItems: 200,
          description: 'Of a select.',
        }),
      ),
    },
    'One input.',
  ),
  uses: closed(
    {
      ...common,
      uses: Type.String({ description: 'The step to do.' }),
      with: Type.Optional(Type.Unknown({ description: 'What the step is given.' })),
      retry: Type.Optional(Retry),
    },
    'Does something.',
  ),
  wait: closed(
    {
      ...common,
      wait: closed(
        {
          for: Type.Optional({ ...Template, description: 'A duration, such as 5m.' } as typeof Template),
          until: Type.Optional({ ...Template, description: 'A time, RFC 3339.' } as typeof Template),
        },
        'for a duration, or until a time',
      ),
    },
    'Lets time pass, also over restarts.',
  ),
  switch: closed(
    {
      ...common,
      switch: Type.Array(Type.Unknown(), {
        minItems: 1,
        maxItems: 50,
        description: 'The first case that is true is taken.',
      }),
    },
    'Chooses.',
  ),
  case: closed({ if: Condition, steps }, 'A case.'),
  else: closed({ else: Type.Literal(true), steps }, 'Where no case is true; the last.'),
  forEach: closed(
    {
      ...common,
      forEach: Type.Union([Template, Type.Array(Type.Unknown(), { maxItems: MAX_ITEMS })], {
        description: 'A list, or a template that gives one.',
        expected: 'a list, or a template such as ${{ inputs.items }} that gives one',
      }),
      concurrency: Type.Optional(whole(1, 100, 'Items at a time. Default 1, in order.')),
      until: Type.Optional({
        ...Condition,
        description: 'Asked after each item: once true, no further item begins.',
      } as typeof Condition),
      steps,
    },
    'Does steps for each item, with `item` and `index` in scope.',
  ),
});

export type Shapes = ReturnType<typeof shapes>;

/** As the parser uses it: each level by itself, so that a message is about one thing. */
export const shallow = shapes(
  Type.Array(Type.Unknown(), {
    minItems: 1,
    maxItems: MAX_STEPS,
    description: 'Done in order.',
    expected: 'a list of steps',
  }),
);

/** Words of the language that this version does not have; they are refused, never passed over. */
export const UNSUPPORTED = {
  workflow: ['concurrency', 'nodes', 'edges', 'env', 'secrets', 'defaults'],
  trigger: ['schedule', 'cron', 'webhook'],
  step: ['parallel', 'waitForEvent', 'approval', 'while', 'set', 'workflow', 'run'],
  uses: ['send_webhook', 'dispatch_agent', 'create_issue', 'send_message', 'set', 'workflow', 'approval'],
} as const;
