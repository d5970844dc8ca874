import { type Static, Type } from '@sinclair/typebox';

import { FailedCondition } from './rule-trial-shape.js';

const time = Type.String({ format: 'date-time' });
const onEvent = {
  eventId: Type.String({ examples: ['evt_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
  eventType: Type.String({ examples: ['git.push'] }),
};

/** Why an event that fits a trigger starts no run. */
export const SkipReason = Type.Union(
  [
    Type.Literal('archived'),
    Type.Literal('disabled'),
    Type.Literal('paused'),
    Type.Literal('loop'),
    Type.Literal('budget'),
    Type.Literal('concurrency'),
    Type.Literal('throttled'),
  ],
  {
    description:
      'archived, disabled, paused: the state of the workflow. loop: the event follows from a run of the workflow, or has too many causes. budget: the event belongs to a story with too many events. concurrency: `concurrency` left no place for the run. throttled: `throttle`, `debounce` or `batch` held the event back.',
  },
);
export type SkipReason = Static<typeof SkipReason>;

const failed = Type.Optional(
  Type.Unsafe<FailedCondition>({
    ...FailedCondition,
    description: 'The first condition that failed, and what it saw.',
  }),
);

const decision = {
  workflowId: Type.String({ examples: ['wf_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
  workflow: Type.String({ description: 'Name of the workflow.' }),
  version: Type.String(),
  trigger: Type.Integer({ minimum: 0, description: 'Place of the trigger in the text.' }),
  outcome: Type.Union([
    Type.Literal('started'),
    Type.Literal('not_matched'),
    Type.Literal('skipped'),
    Type.Literal('errored'),
  ]),
  runId: Type.Optional(Type.String({ description: 'The run that was started.' })),
  failed,
  reason: Type.Optional(SkipReason),
  detail: Type.Optional(Type.String({ description: 'Why it was skipped, in words.' })),
  error: Type.Optional(Type.String({ description: 'Why the trigger could not be evaluated, in words.' })),
};

/** What a trigger of a workflow made of one event. */
export const TriggerDecision = Type.Object(decision);
export type TriggerDecision = Static<typeof TriggerDecision>;

/** The same, as it is shown. */
export const WorkflowDecisionAnswer = Type.Object(
  { kind: Type.Literal('workflow'), ...onEvent, ...decision, at: time },
  { $id: 'WorkflowDecisionAnswer' },
);
export type WorkflowDecisionAnswer = Static<typeof WorkflowDecisionAnswer>;

/** What a rule made of one event. */
export const RuleDecisionAnswer = Type.Object(
  {
    kind: Type.Literal('rule'),
    ...onEvent,
    ruleId: Type.String({ examples: ['rul_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    ruleName: Type.String(),
    ruleVersion: Type.Integer({ minimum: 1 }),
    outcome: Type.Union([
      Type.Literal('matched'),
      Type.Literal('not_matched'),
      Type.Literal('throttled'),
      Type.Literal('errored'),
    ]),
    failed,
    error: Type.Optional(Type.String()),
    actions: Type.Array(
      Type.Object({
        type: Type.String(),
        requestId: Type.String({ description: 'The event that requests it.' }),
        refused: Type.Optional(Type.String({ description: 'Code of a refusal.' })),
        failed: Type.Optional(Type.String({ description: 'Code of the failure; it is not retried.' })),
        waiting: Type.Optional(
          Type.String({ description: 'Code of what it waits for: something that it names does not exist.' }),
        ),
        detail: Type.Optional(Type.String({ description: 'Why it was refused, failed or waits, and what to do.' })),
      }),
    ),
    at: time,
  },
  { $id: 'RuleDecisionAnswer' },
);
export type RuleDecisionAnswer = Static<typeof RuleDecisionAnswer>;

/** A decision on one event: of a rule or of a workflow. */
export const EventDecisionAnswer = Type.Union([RuleDecisionAnswer, WorkflowDecisionAnswer], {
  $id: 'EventDecisionAnswer',
});
export type EventDecisionAnswer = Static<typeof EventDecisionAnswer>;
