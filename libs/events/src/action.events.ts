import { Type } from '@sinclair/typebox';

import { defineEvent } from './define-event.js';

/**
 * What a rule or a workflow step asks for, as an event that another stage fulfils. The outcome's `$causationId` is the
 * id of the request: whoever waits for it waits for that.
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
]);

const triggering = Type.String({ description: 'id of the event that led to the action' });
/** Where the log keeps that event; without it, it is looked for. */
const event = Type.Optional(Type.Object({ stream: Type.String(), revision: Type.String() }));
const byRule = { kind: 'rule', ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a', ruleVersion: 1, index: 0 } as const;
const eventId = 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a';

export const actionEvents = {
  'webhook.requested': defineEvent({
    description: 'A rule or run asks for one event, or a payload of its own, to be sent to one webhook or URL.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      webhookId: Type.Optional(Type.String()),
      url: Type.Optional(Type.String()),
      payload: Type.Optional(Type.Unknown()),
    }),
    example: { requestedBy: byRule, eventId, webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
  'issue.requested': defineEvent({
    description: 'A rule or run asks for an issue.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      tracker: Type.Optional(Type.String()),
      title: Type.String(),
      body: Type.Optional(Type.String()),
      priority: Type.Optional(Type.String()),
      labels: Type.Optional(Type.Array(Type.String())),
      assignee: Type.Optional(Type.String()),
      dedupeKey: Type.Optional(Type.String()),
    }),
    example: { requestedBy: byRule, eventId, title: 'DB latency > 500ms', priority: 'high' },
  }),
  'workflow.requested': defineEvent({
    description: 'A rule or run asks for a run of a workflow.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      /** By name. */
      workflow: Type.String(),
      inputs: Type.Record(Type.String(), Type.Unknown()),
    }),
    example: { requestedBy: byRule, eventId, workflow: 'deploy', inputs: { environment: 'staging' } },
  }),
  'agent.requested': defineEvent({
    description: 'A rule or run asks for an agent to be run.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      /** By id or name. */
      agent: Type.String(),
      input: Type.Unknown({ description: 'null for a webhook: the payload of the event that led to it' }),
      executionId: Type.Optional(
        Type.String({ description: 'where the sender has been told it; else it follows from this event' }),
      ),
    }),
    example: { requestedBy: byRule, eventId, agent: 'triage', input: { title: 'DB latency' } },
  }),
  'message.requested': defineEvent({
    description: 'A rule or run asks for a message to be sent to a channel.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      integration: Type.String(),
      channel: Type.String(),
      text: Type.String(),
    }),
    example: {
      requestedBy: byRule,
      eventId,
      integration: 'int_01jq5x1d0wkz4s3v2n8m7b6c5a',
      channel: '#ops',
      text: 'up',
    },
  }),
  'action.refused': defineEvent({
    description: 'An action, trigger or step was not carried out, for a reason that no retry changes.',
    system: true,
    data: Type.Object({
      /** `send_webhook`, `dispatch_workflow`, `trigger` … */
      action: Type.String(),
      /** `too-many-hops`, `unknown-workflow`, `unknown-webhook` … */
      reason: Type.String(),
      detail: Type.String(),
      eventId: triggering,
      requestedBy: Type.Optional(RequestedBy),
    }),
    example: {
      action: 'send_webhook',
      reason: 'too-many-hops',
      detail: 'The event has 17 causes; at most 16 are allowed.',
      eventId,
      requestedBy: byRule,
    },
  }),
} as const;
