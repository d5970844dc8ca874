import { type Static, Type } from '@sinclair/typebox';

import { closed } from './fields.js';

export const RunStatus = Type.Union([
  Type.Literal('queued'),
  Type.Literal('running'),
  Type.Literal('waiting'),
  Type.Literal('paused'),
  Type.Literal('blocked'),
  Type.Literal('completed'),
  Type.Literal('failed'),
  Type.Literal('cancelled'),
  Type.Literal('skipped'),
]);
export type RunStatus = Static<typeof RunStatus>;

export const WorkflowTrigger = Type.Union([
  Type.Literal('event'),
  Type.Literal('manual'),
  Type.Literal('request'),
  Type.Literal('schedule'),
  Type.Literal('webhook'),
]);
export type WorkflowTrigger = Static<typeof WorkflowTrigger>;

/** What went wrong, for a person (`message`) and for programs (`code`). */
export const RunError = Type.Object({
  type: Type.Optional(
    Type.Union(
      [
        Type.Literal('configuration'),
        Type.Literal('validation'),
        Type.Literal('expression'),
        Type.Literal('authentication'),
        Type.Literal('timeout'),
        Type.Literal('communication'),
        Type.Literal('runtime'),
      ],
      { description: 'The kind of failure: one condition covers many codes. Absent in what older versions wrote.' },
    ),
  ),
  message: Type.String(),
  code: Type.String({ examples: ['http.status'] }),
  path: Type.Optional(Type.String({ description: 'The step that failed.' })),
});
export type RunError = Static<typeof RunError>;

/** Which of several timers of one step: the end of a wait, the next attempt, the step's or the run's time limit. */
export const TimerPurpose = Type.Union([Type.Literal('wait'), Type.Literal('retry'), Type.Literal('timeout')]);

const time = Type.String({ format: 'date-time' });
const path = Type.String({ description: 'Path of the step.', examples: ['retries[2].redeliver'] });

/** A run in lists. */
export const RunAnswer = Type.Object(
  {
    id: Type.String({ examples: ['run_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    workflow: Type.String({ description: 'Name of the workflow.' }),
    workflowId: Type.String(),
    version: Type.String({ description: 'The version of the workflow that it runs.' }),
    status: RunStatus,
    trigger: WorkflowTrigger,
    eventId: Type.Optional(Type.String({ description: 'The event that started it.' })),
    eventType: Type.Optional(Type.String()),
    error: Type.Optional(RunError),
    correlationId: Type.Optional(Type.String({ description: 'The first event of the story that it belongs to.' })),
    until: Type.Optional(Type.String({ format: 'date-time', description: 'When its next timer fires.' })),
    startedAt: time,
    endedAt: Type.Optional(time),
  },
  { $id: 'RunAnswer' },
);
export type RunAnswer = Static<typeof RunAnswer>;

const ShownAttempt = Type.Object({
  attempt: Type.Integer({ minimum: 1 }),
  startedAt: time,
  endedAt: Type.Optional(time),
  resumed: Type.Integer({ minimum: 0, description: 'How often another process took it over.' }),
  error: Type.Optional(RunError),
  output: Type.Optional(Type.Unknown({ description: 'What it gave although it failed.' })),
});

/** One step of a run, as the timeline shows it. */
export const ShownStep = Type.Object(
  {
    path,
    stepId: Type.String(),
    name: Type.Optional(Type.String({ description: 'The name in the workflow.' })),
    status: Type.Union(
      [
        Type.Literal('running'),
        Type.Literal('waiting'),
        Type.Literal('completed'),
        Type.Literal('failed'),
        Type.Literal('skipped'),
        Type.Literal('cancelled'),
      ],
      { description: 'cancelled: the run, or a step around it, ended first.' },
    ),
    waiting: Type.Optional(Type.String({ description: 'What it waits for, in words.' })),
    skipped: Type.Optional(Type.String({ description: 'Why it was skipped: its condition.' })),
    startedAt: time,
    endedAt: Type.Optional(time),
    reusedFrom: Type.Optional(Type.String({ description: 'The earlier run whose result it has.' })),
    input: Type.Optional(Type.Unknown({ description: 'Input of the last attempt.' })),
    output: Type.Optional(Type.Unknown()),
    error: Type.Optional(RunError),
    attempts: Type.Array(ShownAttempt),
    timers: Type.Array(Type.Object({ purpose: TimerPurpose, at: time, firedAt: Type.Optional(time) }), {
      description: 'Of a wait, a time limit or the next attempt.',
    }),
  },
  { $id: 'RunStep' },
);
export type ShownStep = Static<typeof ShownStep>;

/** A run that a step asked for. */
export const ChildRun = Type.Object({
  id: Type.String(),
  workflow: Type.String(),
  path,
  status: Type.Optional(Type.Unsafe<RunStatus>({ ...RunStatus, description: 'Absent until the run has started.' })),
});
export type ChildRun = Static<typeof ChildRun>;

/** A run with its timeline. */
export const RunDetails = Type.Object(
  {
    ...RunAnswer.properties,
    parent: Type.Optional(
      Type.Object({ runId: Type.String(), path }, { description: 'The run and the step that asked for it.' }),
    ),
    because: Type.Optional(
      Type.String({ description: 'Why it started although nobody knows whether the event fits the trigger.' }),
    ),
    restartOf: Type.Optional(Type.String({ description: 'The run that it repeats.' })),
    retries: Type.Optional(
      Type.Array(
        Type.Object({
          at: time,
          by: Type.String(),
          version: Type.Optional(Type.String({ description: 'Present if the run went on with another version.' })),
        }),
        { description: 'When it failed and was retried.' },
      ),
    ),
    skipped: Type.Optional(
      Type.Object(
        { reason: Type.Union([Type.Literal('running'), Type.Literal('queue-full')]), detail: Type.String() },
        { description: 'Why `concurrency` of the workflow left no place for the run.' },
      ),
    ),
    pauses: Type.Optional(
      Type.Array(
        Type.Object({
          at: time,
          by: Type.Optional(Type.String({ description: 'Who paused it; absent if it was blocked.' })),
          blocked: Type.Optional(
            Type.Object(
              {
                code: Type.Literal('run.blocked'),
                message: Type.String({ description: 'Why, and what to do.' }),
                crashes: Type.Integer(),
                paths: Type.Array(path),
              },
              { description: 'Present if processes died again and again at the same steps.' },
            ),
          ),
          resumedAt: Type.Optional(time),
          resumedBy: Type.Optional(Type.String()),
        }),
        { description: 'When it was paused or blocked, and resumed.' },
      ),
    ),
    inputs: Type.Record(Type.String(), Type.Unknown()),
    outputs: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Present when the run has completed.' }),
    ),
    cancelledBy: Type.Optional(Type.String()),
    children: Type.Optional(Type.Array(ChildRun, { description: 'Runs that its steps asked for; at most 1000.' })),
    timeline: Type.Array(ShownStep, { description: 'Its steps, in the order in which they started.' }),
  },
  { $id: 'RunDetails' },
);
export type RunDetails = Static<typeof RunDetails>;

const values = (description: string) => Type.Optional(Type.Record(Type.String(), Type.String(), { description }));

/** Which runs. */
export const RunFilter = closed(
  {
    workflow: Type.Optional(Type.String({ description: 'Name of the workflow.' })),
    version: Type.Optional(Type.String({ description: 'Hash of the version.' })),
    trigger: Type.Optional(WorkflowTrigger),
    eventId: Type.Optional(Type.String({ description: 'The event that started it.' })),
    correlation: Type.Optional(Type.String({ description: 'The first event of the story that it belongs to.' })),
    errorCode: Type.Optional(Type.String({ examples: ['http.status'] })),
    from: Type.Optional(Type.String({ description: 'RFC 3339: runs that started since then.' })),
    to: Type.Optional(Type.String({ description: 'RFC 3339: runs that started before then.' })),
    inputs: values('Inputs by name: texts of at most 200 characters, numbers and booleans.'),
    labels: values('Labels of the workflow by name.'),
  },
  { $id: 'RunFilter' },
);
export type RunFilter = Static<typeof RunFilter>;

/** What is sent to retry many runs. */
export const BulkRetryRequest = closed(
  {
    filter: Type.Optional(RunFilter),
    confirm: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'The number of runs to retry, as the answer without it says. Without it nothing is retried.',
        expected: 'the number of runs that the same request without "confirm" names',
      }),
    ),
    rate: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: 'Runs a second. Default 10.',
        expected: 'from 1 to 1000',
      }),
    ),
  },
  { $id: 'BulkRetryRequest' },
);

/** The answer to it. */
export const BulkRetryStart = Type.Object(
  {
    count: Type.Integer({ minimum: 0, description: 'Failed runs that match.' }),
    started: Type.Boolean({ description: 'Whether they are being retried.' }),
    id: Type.Optional(Type.String({ description: 'Of the request: GET /api/v1/run-retries/:id shows its progress.' })),
  },
  { $id: 'BulkRetryStart' },
);
export type BulkRetryStart = Static<typeof BulkRetryStart>;

/** A request to retry many runs. */
export const BulkRetryAnswer = Type.Object(
  {
    id: Type.String({ examples: ['ret_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    filter: RunFilter,
    count: Type.Integer({ description: 'Runs that matched at the time of the request.' }),
    rate: Type.Integer({ description: 'Runs a second.' }),
    status: Type.Union([Type.Literal('running'), Type.Literal('completed'), Type.Literal('cancelled')]),
    retried: Type.Integer({ minimum: 0 }),
    refused: Type.Integer({
      minimum: 0,
      description: 'Runs that could not be retried, such as those that no longer are failed.',
    }),
    requestedBy: Type.String(),
    requestedAt: time,
    endedAt: Type.Optional(time),
  },
  { $id: 'BulkRetryAnswer' },
);
export type BulkRetryAnswer = Static<typeof BulkRetryAnswer>;

/** What is sent to approve or reject. */
export const ApprovalDecision = closed(
  {
    decision: Type.Union([Type.Literal('approve'), Type.Literal('reject')]),
    comment: Type.Optional(Type.String({ maxLength: 2000 })),
    form: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'Values of the form, by name.' })),
  },
  { $id: 'ApprovalDecision' },
);
export type ApprovalDecision = Static<typeof ApprovalDecision>;

export const ApprovalStatus = Type.Union(
  [Type.Literal('waiting'), Type.Literal('approved'), Type.Literal('rejected'), Type.Literal('over')],
  { description: 'over: the run no longer waits for it.' },
);
export type ApprovalStatus = Static<typeof ApprovalStatus>;

/** An approval in lists. */
export const ApprovalAnswer = Type.Object(
  {
    runId: Type.String(),
    path: Type.String({ description: 'Path of the step that asks for it.' }),
    workflow: Type.String({ description: 'Name of the workflow.' }),
    title: Type.String(),
    description: Type.Optional(Type.String()),
    form: Type.Record(Type.String(), Type.Unknown(), { description: 'Inputs that an approver fills in, by name.' }),
    approvers: Type.Array(Type.String(), { description: 'Roles, and names of tokens.' }),
    count: Type.Integer({ minimum: 1, description: 'Approvals required.' }),
    until: Type.Optional(Type.String({ format: 'date-time', description: 'It can be decided until then.' })),
    requestedAt: time,
    status: ApprovalStatus,
  },
  { $id: 'ApprovalAnswer' },
);
export type ApprovalAnswer = Static<typeof ApprovalAnswer>;

/** The answer to approving or rejecting. */
export const RecordedDecision = Type.Object(
  {
    runId: Type.String(),
    path: Type.String({ description: 'Path of the step.' }),
    ...ApprovalDecision.properties,
    by: Type.String({ description: 'Who decided.', examples: ['token/tok_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    status: Type.Optional(ApprovalStatus),
  },
  { $id: 'RecordedDecision' },
);
export type RecordedDecision = Static<typeof RecordedDecision>;
