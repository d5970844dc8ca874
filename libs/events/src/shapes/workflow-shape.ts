import { type Static, Type } from '@sinclair/typebox';

import { Assuming } from './event-types/assuming-shape.js';
import { closed, nullable } from './fields.js';
import { InputShape } from './input-shape.js';
import { RuleWarning } from './rule-shape.js';

const name = Type.String({ examples: ['retry-failed-webhooks'] });
const version = Type.String({
  description: 'The first 16 hex digits of the SHA-256 of the text.',
  expected: 'one of the versions of the workflow',
  examples: ['3f1c0a9be4d27586'],
});
const origin = Type.Union([Type.Literal('file'), Type.Literal('api')], {
  description: 'Whether a file or the API saved it.',
});
const file = Type.String({ description: 'The name of the file that it came from.' });
const number = Type.Integer({ minimum: 1, description: '1 for the first version of a workflow, then 2, 3 …' });
const source = Type.String({
  description: 'The workflow, YAML. /schemas/workflow.json has its grammar.',
  expected: 'a workflow as YAML text',
  examples: ['name: hello\nsteps:\n  - uses: log\n    with: { message: Hello }\n'],
});

/** THE SHAPE OF A WORKFLOW, around its text. The grammar of the text is libs/workflows'. */

/** A trigger of the type `webhook`, as other stages need to know it. */
const webhookUse = Type.Object({
  integration: Type.Optional(
    Type.String({ description: 'Name or id of the integration. Absent: the one that belongs to the workflow.' }),
  ),
  respond: Type.Optional(Type.Literal('wait', { description: 'The answer to a request waits for the run.' })),
});
export type WebhookUse = Static<typeof webhookUse>;

/** Which version of a workflow is active, as the log keeps it. */
export const activeVersion = {
  name,
  version,
  origin,
  file: Type.Optional(file),
  webhooks: Type.Optional(Type.Array(webhookUse, { description: 'Its webhook triggers; absent if it has none.' })),
};
/** A version, as the log keeps it. */
export const workflowVersion = { ...activeVersion, number, source };

/** What is sent to save a workflow. The text may also be sent as it is. */
export const WorkflowSource = closed(
  { source },
  {
    $id: 'WorkflowSource',
    expected: 'the workflow as YAML with "Content-Type: text/yaml", or JSON such as { "source": "name: …" }',
  },
);

/** What is sent to check one. */
export const WorkflowToCheck = closed(
  { source, assuming: Type.Optional(Assuming) },
  { $id: 'WorkflowToCheck', expected: WorkflowSource['expected'] as string },
);
export type WorkflowToCheck = Static<typeof WorkflowToCheck>;

/** What is sent to activate an earlier version. */
export const Activation = closed({ version }, { $id: 'Activation' });

/** What is sent to start a run. */
export const NewRun = closed(
  {
    inputs: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Inputs by name, as declared by the manual trigger.' }),
    ),
  },
  { $id: 'NewRun' },
);

/** What is sent to do a run again. */
export const RunRestart = closed(
  {
    latest: Type.Optional(
      Type.Boolean({ description: 'Use the version that is active now. Default: the version of the run.' }),
    ),
    inputs: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'In place of the inputs of the run.' }),
    ),
    from: Type.Optional(
      Type.String({
        description: 'Id of the step to begin with, outside loops and branches. The steps before it are not run again.',
        expected: 'the id of a step',
      }),
    ),
    outputs: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'With `from`: outputs of earlier steps by id, in place of those of the run.',
      }),
    ),
  },
  { $id: 'RunRestart' },
);

/** What is sent to retry a failed run. */
export const RunRetry = closed(
  {
    version: Type.Optional(
      Type.Union([Type.String({ minLength: 1 }), Type.Integer({ minimum: 1 })], {
        description:
          'Go on with this version, by its hash or its number. The steps that the run has behind it must be the same in it.',
        expected: 'the hash or the number of a version',
      }),
    ),
  },
  { $id: 'RunRetry' },
);

const time = Type.String({ format: 'date-time' });

/** A workflow in lists. */
export const WorkflowAnswer = Type.Object(
  {
    id: Type.String({ examples: ['wf_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    name,
    description: Type.Optional(Type.String({ description: 'The description in the workflow.' })),
    labels: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'As the text has them.' })),
    paused: Type.Optional(Type.Boolean({ description: 'Its triggers start no runs.' })),
    disabled: Type.Optional(Type.Boolean({ description: 'It starts no runs.' })),
    inputs: Type.Optional(
      Type.Record(Type.String(), InputShape, { description: 'What a run takes, by name, as the text declares it.' }),
    ),
    status: Type.Union([Type.Literal('active'), Type.Literal('archived')]),
    version: Type.String({ description: 'The active version; of an archived workflow the last one.' }),
    origin,
    file: nullable(file),
    createdAt: time,
    updatedAt: time,
  },
  { $id: 'WorkflowAnswer' },
);
export type WorkflowAnswer = Static<typeof WorkflowAnswer>;

/** The integration that belongs to a workflow. */
const workflowWebhook = Type.Object(
  {
    integrationId: Type.String({ examples: ['int_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    url: Type.String({ description: 'Requests to it start runs.' }),
    secret: Type.Optional(
      Type.String({ description: 'With which requests are signed. Shown once: when the integration is made.' }),
    ),
  },
  { description: 'The address of its webhook trigger. Absent if it has none, or names an integration.' },
);

/** A workflow with its active text. */
export const WorkflowDetails = Type.Object(
  { ...WorkflowAnswer.properties, webhook: Type.Optional(workflowWebhook), number, source },
  { $id: 'WorkflowDetails' },
);
export type WorkflowDetails = Static<typeof WorkflowDetails>;

/** What is allowed and probably not meant: the pointer is into the workflow, line and column are in its text. */
export const SourceWarning = Type.Object({
  ...RuleWarning.properties,
  line: Type.Integer({ minimum: 1 }),
  column: Type.Integer({ minimum: 1 }),
});
export type SourceWarning = Static<typeof SourceWarning>;

const warnings = Type.Array(SourceWarning, { description: 'Allowed, but probably not intended.' });

/** The answer to saving a workflow. */
export const SavedWorkflow = Type.Object({ ...WorkflowDetails.properties, warnings }, { $id: 'SavedWorkflow' });
export type SavedWorkflow = Static<typeof SavedWorkflow>;

/** The answer to checking one. */
export const WorkflowCheck = Type.Object(
  {
    valid: Type.Boolean({ description: 'A text with warnings alone is valid.' }),
    version,
    errors: Type.Array(
      Type.Object({
        pointer: Type.String({ description: 'JSON pointer into the workflow.' }),
        detail: Type.String(),
        code: Type.Optional(Type.String()),
        line: Type.Optional(Type.Integer({ minimum: 1 })),
        column: Type.Optional(Type.Integer({ minimum: 1 })),
      }),
    ),
    warnings,
  },
  { $id: 'WorkflowCheck' },
);
export type WorkflowCheck = Static<typeof WorkflowCheck>;

/** A version of a workflow in lists. */
export const WorkflowVersionAnswer = Type.Object(
  {
    version,
    number,
    active: Type.Boolean({ description: 'Whether new runs use it.' }),
    origin,
    file: nullable(file),
    savedBy: Type.String(),
    savedAt: time,
  },
  { $id: 'WorkflowVersionAnswer' },
);
export type WorkflowVersionAnswer = Static<typeof WorkflowVersionAnswer>;

/** A version with its text. */
export const WorkflowVersionDetails = Type.Object(
  { ...WorkflowVersionAnswer.properties, source },
  { $id: 'WorkflowVersionDetails' },
);
export type WorkflowVersionDetails = Static<typeof WorkflowVersionDetails>;

/** The answer to pausing a workflow, and to resuming it. */
export const WorkflowPause = Type.Object(
  { name, paused: Type.Boolean({ description: 'Whether its triggers start no runs.' }) },
  { $id: 'WorkflowPause' },
);
export type WorkflowPause = Static<typeof WorkflowPause>;

const trigger = Type.String({
  description: 'The times of the trigger, as its ticks name them.',
  examples: ['0 9 * * 1-5 Europe/Berlin'],
});

/** When the schedule triggers of a workflow fire next. */
export const WorkflowSchedule = Type.Object(
  {
    workflow: name,
    paused: Type.Boolean(),
    disabled: Type.Boolean({ description: 'The active version says `disabled: true`.' }),
    archived: Type.Boolean(),
    schedules: Type.Array(
      Type.Object({
        trigger,
        index: Type.Integer({ minimum: 0, description: 'Place of the trigger in the text.' }),
        next: Type.Array(time, {
          description: 'The next ten times; none while the workflow is paused, disabled or archived.',
        }),
      }),
    ),
  },
  { $id: 'WorkflowSchedule' },
);
export type WorkflowSchedule = Static<typeof WorkflowSchedule>;

/** What is sent to start the runs that were missed. */
export const BackfillRequest = closed(
  {
    from: Type.String({ description: 'RFC 3339; the first time that counts.', expected: 'an RFC 3339 time' }),
    to: Type.String({
      description: 'RFC 3339, not in the future; times before it count.',
      expected: 'an RFC 3339 time',
    }),
    count: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'The number of runs to start, as the answer without it says. Without it nothing is started.',
        expected: 'the number of runs that the same request without "count" names',
      }),
    ),
  },
  { $id: 'BackfillRequest' },
);

/** What a backfill starts, or would start. */
export const Backfill = Type.Object(
  {
    count: Type.Integer({ minimum: 0, description: 'Times that never fired, with what this request started.' }),
    started: Type.Boolean({ description: 'Whether runs were started for them.' }),
    ticks: Type.Array(Type.Object({ trigger, at: time })),
  },
  { $id: 'Backfill' },
);
export type Backfill = Static<typeof Backfill>;

const namedVersion = Type.Object({ version, number });

/** A version of a workflow as a graph. */
export const WorkflowGraph = Type.Object(
  {
    workflow: name,
    version,
    number,
    run: Type.Optional(Type.String({ description: 'The run whose states it shows.' })),
    status: Type.Optional(Type.String({ description: 'Of the run.' })),
    nodes: Type.Array(
      Type.Object({
        id: Type.String({ description: 'Id of the step.' }),
        kind: Type.String({ description: 'The kind of step, or what it uses.', examples: ['http'] }),
        name: Type.Optional(Type.String()),
        disabled: Type.Optional(Type.Boolean()),
        if: Type.Optional(Type.String({ description: 'The condition of the step.' })),
        part: Type.Union([Type.Literal('steps'), Type.Literal('onFailure'), Type.Literal('finally')]),
        inside: Type.Optional(Type.String({ description: 'The step that holds it.' })),
        status: Type.Optional(
          Type.String({
            description: 'With `run`: of its passes, the status that matters most; absent if it did not run.',
          }),
        ),
        states: Type.Optional(
          Type.Record(Type.String(), Type.Integer(), { description: 'With `run`: how many passes have which status.' }),
        ),
      }),
    ),
    edges: Type.Array(
      Type.Object({
        from: Type.String(),
        to: Type.String(),
        kind: Type.Union([Type.Literal('next'), Type.Literal('inside')], {
          description: 'next: it follows. inside: it is the first of the steps that the other holds.',
        }),
        label: Type.Optional(Type.String({ description: 'When it is taken.' })),
      }),
    ),
  },
  { $id: 'WorkflowGraph' },
);
export type WorkflowGraph = Static<typeof WorkflowGraph>;

/** Two versions of a workflow compared. */
export const WorkflowDiff = Type.Object(
  {
    workflow: name,
    from: namedVersion,
    to: namedVersion,
    steps: Type.Optional(
      Type.Object(
        {
          added: Type.Array(Type.String()),
          removed: Type.Array(Type.String()),
          changed: Type.Array(
            Type.Object({ id: Type.String(), keys: Type.Array(Type.String({ description: 'Keys that differ.' })) }),
          ),
        },
        { description: 'Steps by id. Absent if a version no longer parses.' },
      ),
    ),
    lines: Type.Array(
      Type.Object({
        kind: Type.Union([Type.Literal('same'), Type.Literal('removed'), Type.Literal('added')]),
        text: Type.String(),
        from: Type.Optional(Type.Integer({ minimum: 1, description: 'Line in the first version.' })),
        to: Type.Optional(Type.Integer({ minimum: 1, description: 'Line in the second version.' })),
      }),
    ),
  },
  { $id: 'WorkflowDiff' },
);
export type WorkflowDiff = Static<typeof WorkflowDiff>;
