import { type Static, Type } from '@sinclair/typebox';

import { closed, nullable } from '../fields.js';

const time = Type.String({ format: 'date-time' });

export const ExecutionTrigger = Type.Union([
  Type.Literal('webhook'),
  Type.Literal('rule'),
  Type.Literal('workflow'),
  Type.Literal('manual'),
  Type.Literal('schedule'),
]);
export type ExecutionTrigger = Static<typeof ExecutionTrigger>;

export const AgentRuntime = Type.Union(
  [
    Type.Literal('http'),
    Type.Literal('openai'),
    Type.Literal('a2a'),
    Type.Literal('workflow'),
    Type.Literal('command'),
  ],
  { description: 'What runs it.' },
);
export type AgentRuntime = Static<typeof AgentRuntime>;

export const ExecutionStatus = Type.Union([
  Type.Literal('pending'),
  Type.Literal('running'),
  Type.Literal('waiting_approval'),
  Type.Literal('completed'),
  Type.Literal('failed'),
  Type.Literal('cancelled'),
  Type.Literal('timeout'),
]);
export type ExecutionStatus = Static<typeof ExecutionStatus>;

/** What went wrong, for a person (`message`) and for programs (`code`). */
export const ExecutionError = Type.Object({
  code: Type.String({ examples: ['agent.status'] }),
  message: Type.String(),
});
export type ExecutionError = Static<typeof ExecutionError>;

export const ExecutionUsage = Type.Object({
  inputTokens: Type.Integer({ minimum: 0 }),
  outputTokens: Type.Integer({ minimum: 0 }),
  costCents: Type.Optional(Type.Number({ minimum: 0, description: 'By the prices of the agent.' })),
});
export type ExecutionUsage = Static<typeof ExecutionUsage>;

export const ApprovalDecision = Type.Union([Type.Literal('approve'), Type.Literal('reject'), Type.Literal('result')]);
export type ApprovalDecision = Static<typeof ApprovalDecision>;

/** What is sent to decide about the call of a tool. */
export const ApprovalVote = closed(
  {
    decision: Type.Union([Type.Literal('approve'), Type.Literal('reject')], {
      description: '`approve`: call the tool with these arguments. `reject`: do not call it, or take it as failed.',
    }),
    comment: Type.Optional(Type.String({ maxLength: 4_000, description: 'On a rejection, the model reads it.' })),
    result: Type.Optional(
      Type.Unknown({
        description: 'With `approve`, of a call that nobody knows about: what it gave. It is not repeated.',
      }),
    ),
  },
  { $id: 'AgentApprovalVote' },
);
export type ApprovalVote = Static<typeof ApprovalVote>;

/** A call of a tool that waits for a person. */
export const OpenApproval = Type.Object({
  id: Type.String(),
  reason: Type.Union([Type.Literal('policy'), Type.Literal('unknown')]),
  tool: Type.String(),
  arguments: Type.Unknown(),
});
export type OpenApproval = Static<typeof OpenApproval>;

const execution = {
  id: Type.String({ examples: ['exec_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
  agentId: nullable(Type.String({ description: 'null while there is no agent of that name.' })),
  agent: Type.String({ description: 'The id or name in the request.' }),
  trigger: ExecutionTrigger,
  status: ExecutionStatus,
  eventId: nullable(Type.String({ description: 'The event that led to it. For a webhook, its payload is the input.' })),
  requestedBy: nullable(Type.String({ description: 'The rule or run that requested it.' })),
  usage: nullable(ExecutionUsage),
  createdAt: time,
  startedAt: nullable(time),
  finishedAt: nullable(time),
  durationMs: nullable(Type.Integer({ description: 'From the start to the end.' })),
};

/** An execution in lists. */
export const ExecutionAnswer = Type.Object(execution, { $id: 'ExecutionAnswer' });
export type ExecutionAnswer = Static<typeof ExecutionAnswer>;

/** One step of an execution: a call of the agent, of a model or of a tool. */
export const ExecutionStep = Type.Object({
  number: Type.Integer({ minimum: 1 }),
  kind: Type.Union([Type.Literal('call'), Type.Literal('model'), Type.Literal('tool')]),
  name: Type.String({ description: 'The runtime, the model or the tool.' }),
  status: Type.Union([
    Type.Literal('running'),
    Type.Literal('waiting'),
    Type.Literal('waiting_approval'),
    Type.Literal('completed'),
    Type.Literal('failed'),
  ]),
  startedAt: time,
  endedAt: nullable(time),
  durationMs: nullable(Type.Integer()),
  input: Type.Optional(Type.Unknown({ description: 'The arguments of a tool.' })),
  output: Type.Optional(Type.Unknown()),
  error: Type.Optional(ExecutionError),
  usage: Type.Optional(ExecutionUsage),
  retryAt: Type.Optional(time),
});
export type ExecutionStep = Static<typeof ExecutionStep>;

/** One execution with all that happened. */
export const ExecutionDetail = Type.Object(
  {
    ...execution,
    runtime: nullable(AgentRuntime),
    input: Type.Unknown(),
    output: Type.Unknown(),
    error: nullable(ExecutionError),
    steps: Type.Array(ExecutionStep),
    approvals: Type.Array(OpenApproval, { description: 'What waits for a person.' }),
  },
  { $id: 'ExecutionDetail' },
);
export type ExecutionDetail = Static<typeof ExecutionDetail>;

/** What is sent to start one by hand. */
export const NewExecution = closed(
  { input: Type.Optional(Type.Unknown({ description: 'Any JSON.' })) },
  { $id: 'NewExecution' },
);
export type NewExecution = Static<typeof NewExecution>;

/** What an agent sends that delivers its result later. */
export const ExecutionResult = closed(
  {
    status: Type.Union([Type.Literal('completed'), Type.Literal('failed')]),
    output: Type.Optional(Type.Unknown({ description: 'Any JSON.' })),
    error: Type.Optional(
      Type.Object(
        { code: Type.Optional(Type.String({ maxLength: 200 })), message: Type.String({ maxLength: 4_000 }) },
        { additionalProperties: false },
      ),
    ),
  },
  { $id: 'ExecutionResult' },
);
export type ExecutionResult = Static<typeof ExecutionResult>;

/** What a result is answered with. */
export const ResultAnswer = Type.Object(
  { executionId: Type.String(), status: ExecutionStatus },
  { $id: 'ResultAnswer' },
);
export type ResultAnswer = Static<typeof ResultAnswer>;
