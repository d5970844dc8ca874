import { Type } from '@sinclair/typebox';

/**
 * What a rule or a workflow step asks for, as an event that another stage fulfils. The outcome's `$causationId` is the
 * id of the request: code that waits for the outcome waits for that.
 */
export const RequestedBy = Type.Union([
  Type.Object({
    kind: Type.Literal('rule'),
    ruleId: Type.String(),
    ruleVersion: Type.Integer(),
    /** Place of the action in the rule. */
    index: Type.Integer(),
  }),
  Type.Object({ kind: Type.Literal('run'), runId: Type.String(), stepId: Type.String() }),
  Type.Object({ kind: Type.Literal('webhook'), agentId: Type.String() }),
  /** A person or program, through the API. */
  Type.Object({ kind: Type.Literal('manual'), by: Type.String({ description: 'who: `token/tok_…`' }) }),
  Type.Object({ kind: Type.Literal('agent'), agentId: Type.String(), executionId: Type.String() }),
]);
