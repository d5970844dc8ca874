import { type TProperties, type TSchema, Type } from '@sinclair/typebox';

import { DURATION_IN_WORDS, DURATION_PATTERN } from '#libs/kernel/src/time/durations.js';

/**
 * Schemas that the shapes of the language are made of. From a shape follow what the reader accepts, what its messages say
 * is allowed, and what editors complete. `expected` words a schema for people; `inEditors` is a schema that editors check
 * in its place, where the reader checks level by level so that each message is about one thing.
 */
export const Duration = Type.String({
  pattern: DURATION_PATTERN,
  description: 'A duration: 250ms, 10s, 5m, 2h, 3d; at most 366d.',
  expected: DURATION_IN_WORDS,
});
export const Template = Type.String({
  minLength: 1,
  description: 'A string, with ${{ JMESPath }} for values.',
  expected: 'a string, with ${{ JMESPath }} for values',
});
export const Condition = Type.Union([Type.String({ minLength: 1 }), Type.Boolean()], {
  description: 'A JMESPath expression. `${{ }}` around it is optional.',
  expected: 'a JMESPath expression, true or false',
});
export const Globs = Type.Union(
  [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })],
  { expected: 'a string or a list of strings' },
);
export const whole = (minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, description, expected: `a whole number from ${minimum} to ${maximum}` });

/** The same schema with another description. */
export const described = <S extends TSchema>(schema: S, description: string): S => ({ ...schema, description });

/** Most steps in one list. */
export const MAX_STEPS = 200;

/** A nested list of steps: its entries are read one by one. */
export const StepList = Type.Array(Type.Unknown(), {
  minItems: 1,
  maxItems: MAX_STEPS,
  description: 'Run in order.',
  expected: 'a list of steps',
  inEditors: { $ref: '#/definitions/steps' },
});

/** An object that has these keys and no others. */
export const closed = <P extends TProperties>(properties: P, description: string) =>
  Type.Object(properties, { additionalProperties: false, description });

export const EdgeShape = closed(
  {
    from: Type.String({ minLength: 1, description: 'The id of a node.' }),
    to: Type.String({ minLength: 1, description: 'The id of a node, which runs later.' }),
    if: Type.Optional(described(Condition, 'The edge is taken only if this is true.')),
  },
  'An edge of a graph.',
);

export const GraphFields = {
  nodes: described(StepList, 'Steps with ids. Each runs as soon as the steps that lead to it have ended.'),
  edges: Type.Optional(
    Type.Array(Type.Unknown({ inEditors: EdgeShape }), {
      maxItems: 1000,
      description: 'Which step follows which: `from`, `to` and `if`. Without cycles.',
      expected: 'a list of edges, each with "from" and "to"',
    }),
  ),
};

const commonFields = {
  id: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$',
      description:
        'How expressions name the step: `steps.<id>`. Letters, digits and `_`; unique in the workflow. Generated when left out (`http_1`).',
      expected: 'up to 64 letters, digits and _, not starting with a digit (used in expressions: steps.<id>)',
    }),
  ),
  name: Type.Optional(Type.String({ maxLength: 200, description: 'A title for people.' })),
  disabled: Type.Optional(Type.Boolean({ description: '`true`: the step is `skipped`.' })),
  if: Type.Optional(described(Condition, 'A JMESPath condition. The step is `skipped` unless it is true.')),
  timeout: Type.Optional(
    described(
      Duration,
      'A duration. The step fails with `step.timeout` when it takes longer. It limits each attempt of a step that has effects (default 30 s) or `retry`.',
    ),
  ),
  onError: Type.Optional(
    Type.Union([Type.Literal('fail'), Type.Literal('continue')], {
      description: '`fail` (default): the run fails. `continue`: the run goes on, and `steps.<id>.status` is `failed`.',
    }),
  ),
};

/** The shape of a step: the keys that every step has, and its own. */
export const stepShape = <P extends TProperties>(properties: P, description: string) =>
  closed({ ...commonFields, ...properties }, description);

export const Retry = closed(
  {
    maxAttempts: Type.Optional(whole(1, 100, 'With the first. Default 3.')),
    delay: Type.Optional(described(Duration, 'Before the second attempt. Default 10s.')),
    backoff: Type.Optional(
      Type.Union([Type.Literal('fixed'), Type.Literal('exponential')], {
        description: 'exponential doubles the delay each time. Default exponential.',
      }),
    ),
    maxDelay: Type.Optional(described(Duration, 'No delay is longer. Default 5m.')),
    when: Type.Optional(
      described(
        Condition,
        'Over `error` and `output` of the failed attempt: whether there is another. Default: where it may help.',
      ),
    ),
    exceptWhen: Type.Optional(described(Condition, 'The same: where it is true, there is no other attempt.')),
    jitter: Type.Optional(
      Type.Boolean({
        description: 'Shortens each delay by a random part, up to half. Default true.',
      }),
    ),
  },
  'Further attempts of a step with `uses` that has effects or waits for the outcome of a request: `maxAttempts` (with the first; 3), `delay` (10s), `backoff` (`exponential` or `fixed`), `maxDelay` (5m), `jitter` (true), `when`, `exceptWhen`.',
);

/** A step that names what it does. `with` is checked against the schema of what is named. */
export const UsesShape = stepShape(
  {
    uses: Type.String({ description: 'The step to run.' }),
    with: Type.Optional(Type.Unknown({ description: 'The input of the step.' })),
    retry: Type.Optional(Retry),
  },
  'Does something.',
);

/** The keys that every step may have, for documentation. */
export const COMMON_KEYS = Object.keys(commonFields);

export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

const Finally = closed(
  { steps: StepList, timeout: Type.Optional(described(Duration, 'Of these steps together. Default 1h.')) },
  'Steps that run in the end.',
);

const LABEL_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$';

const Concurrency = closed(
  {
    key: Type.Optional(
      described(
        Template,
        'Runs with the same key share the limit. Default: all runs of the workflow. Sees `event` and `inputs`.',
      ),
    ),
    limit: Type.Optional(whole(1, 1_000, 'Runs that may be under way. Default 1.')),
    onConflict: Type.Optional(
      Type.Union([Type.Literal('queue'), Type.Literal('skip'), Type.Literal('cancel_running')], {
        description:
          'What becomes of one more: `queue` (default) waits for its turn, first come, first served; `skip` does not start it; `cancel_running` cancels the oldest.',
      }),
    ),
    maxQueued: Type.Optional(whole(0, 10_000, 'Runs that may queue; one more is skipped. Default 100.')),
    whileWaiting: Type.Optional(
      Type.Union([Type.Literal('hold'), Type.Literal('release')], {
        description:
          '`hold` (default): a run keeps its place while it waits. `release`: another run has it meanwhile, and the first queues for a place when it goes on.',
      }),
    ),
  },
  'How many runs may be under way at a time: `key`, `limit` (1), `onConflict` (`queue`, `skip`, `cancel_running`), `maxQueued` (100), `whileWaiting` (`hold`, `release`). A skipped run records `workflow.skipped`.',
);

export const WorkflowShape = closed(
  {
    name: Type.String({
      pattern: NAME_PATTERN,
      description: 'Unique; part of the address.',
      expected: 'up to 100 letters, digits, ".", "_" and "-", beginning with a letter or digit',
    }),
    description: Type.Optional(Type.String({ maxLength: 2000, description: 'Purpose of the workflow.' })),
    disabled: Type.Optional(
      Type.Boolean({ description: 'The workflow starts no runs; runs under way go on. Default false.' }),
    ),
    labels: Type.Optional(
      Type.Record(Type.String({ pattern: LABEL_PATTERN }), Type.String({ maxLength: 200 }), {
        additionalProperties: false,
        maxProperties: 20,
        description: 'Texts by name, such as `team: payments`, to find workflows by.',
        expected: 'up to 20 texts by name; a name has letters, digits, ".", "_" and "-"',
      }),
    ),
    triggers: Type.Optional(
      Type.Array(Type.Unknown({ inEditors: { $ref: '#/definitions/trigger' } }), {
        maxItems: 50,
        description: 'What starts a run.',
      }),
    ),
    timeout: Type.Optional(described(Duration, 'A run that takes longer fails.')),
    allowRecursion: Type.Optional(
      Type.Boolean({
        description:
          'Also start runs for events that follow from its own runs, up to 16 causes deep. Default false: these are refused.',
      }),
    ),
    concurrency: Type.Optional(Concurrency),
    steps: StepList,
    nodes: Type.Optional(GraphFields.nodes),
    edges: GraphFields.edges,
    onFailure: Type.Optional(described(StepList, 'Run when the steps fail, with `error` in scope.')),
    finally: Type.Optional(
      Type.Union([StepList, Finally], {
        description: 'Run in the end: after success, failure and cancel, with `error` and `run.status` in scope.',
      }),
    ),
    outputs: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'Outputs of a completed run, with templates.',
        expected: 'an object of names and values',
      }),
    ),
  },
  'A workflow of Millrace.',
);
