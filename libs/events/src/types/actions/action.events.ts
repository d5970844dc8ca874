import { Type } from '@sinclair/typebox';

import { defineEvent } from '../../define-event.js';
import { secretPlaces } from '../../secrets/secret-places.js';
import type { messageEvents } from './message.events.js';
import { RequestedBy } from './requested-by.js';

const triggering = Type.String({ description: 'id of the event that led to the action' });
/** Where the log keeps that event; without it, it is looked for. */
const event = Type.Optional(Type.Object({ stream: Type.String(), revision: Type.String() }));
const byRule = { kind: 'rule', ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a', ruleVersion: 1, index: 0 } as const;
const eventId = 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a';

const pluginAction = Type.String({ description: 'name of the action, such as `page-on-call`' });
/** On every outcome of an action of a plug-in. */
const ofAction = {
  requestId: Type.String({ description: 'id of the `action.requested`' }),
  /** Where the log keeps the request. */
  request: Type.Object({ stream: Type.String(), revision: Type.String() }),
  requestedBy: RequestedBy,
  eventId: triggering,
  action: pluginAction,
  latencyMs: Type.Integer({ minimum: 0, description: 'of this attempt' }),
};
const aboutAction = {
  requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b',
  request: { stream: 'decisions-0195cbd0-b41c-7f04-8ee0-aa2a0e71b0aa', revision: '1' },
  requestedBy: byRule,
  eventId,
  action: 'page-on-call',
  latencyMs: 41,
};

export const actionEvents = {
  'webhook.requested': defineEvent({
    description: 'A rule or run requested that one event, or a payload of its own, is sent to one webhook or URL.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      webhookId: Type.Optional(Type.String()),
      url: Type.Optional(Type.String()),
      payload: Type.Optional(Type.Unknown()),
      secrets: secretPlaces,
    }),
    example: { requestedBy: byRule, eventId, webhookId: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a' },
  }),
  'issue.requested': defineEvent({
    description: 'A rule, run or agent requested an issue, or a change of one.',
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
      issue: Type.Optional(Type.String({ description: 'an existing issue, as the tracker names it' })),
      close: Type.Optional(Type.Boolean({ description: 'whether `issue` is closed' })),
    }),
    example: { requestedBy: byRule, eventId, title: 'DB latency > 500ms', priority: 'high' },
  }),
  'workflow.requested': defineEvent({
    description: 'A rule or run requested a run of a workflow.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      /** By name. */
      workflow: Type.String(),
      inputs: Type.Record(Type.String(), Type.Unknown()),
      /** Whether the run is cancelled when the run that asks for it ends first. */
      isChild: Type.Optional(Type.Boolean()),
    }),
    example: { requestedBy: byRule, eventId, workflow: 'deploy', inputs: { environment: 'staging' } },
  }),
  'agent.requested': defineEvent({
    description: 'An execution of an agent was requested.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      /** By id or name. */
      agent: Type.String(),
      input: Type.Unknown({ description: 'null for a webhook: the payload of the event that led to it' }),
      executionId: Type.Optional(
        Type.String({ description: 'if the sender has received it; otherwise it follows from this event' }),
      ),
      /** Whether the execution is cancelled when the run that requests it ends first. */
      isChild: Type.Optional(Type.Boolean()),
      /** Whether a schedule started the run that requests it. */
      scheduled: Type.Optional(Type.Boolean()),
    }),
    example: { requestedBy: byRule, eventId, agent: 'triage', input: { title: 'DB latency' } },
  }),
  'action.requested': defineEvent({
    description: 'A rule requested an action of a plug-in.',
    system: true,
    data: Type.Object({
      requestedBy: RequestedBy,
      eventId: triggering,
      event,
      action: pluginAction,
      input: Type.Record(Type.String(), Type.Unknown(), { description: '`with` of the action, filled in' }),
      secrets: secretPlaces,
    }),
    example: { requestedBy: byRule, eventId, action: 'page-on-call', input: { team: 'db', text: 'DB latency' } },
  }),
  'action.completed': defineEvent({
    description: 'An action of a plug-in was completed.',
    system: true,
    data: Type.Object({
      ...ofAction,
      output: Type.Unknown({ description: 'what the action returned, or null' }),
      /** Why there is none although something was given back: more than 256 KiB, or nothing that JSON can hold. */
      omitted: Type.Optional(Type.Union([Type.Literal('too_large'), Type.Literal('not_json')])),
      attempts: Type.Integer({ minimum: 1, description: 'how many it took' }),
    }),
    example: { ...aboutAction, output: { page: 'p-4711' }, attempts: 1 },
  }),
  'action.failed': defineEvent({
    description: 'An attempt of an action of a plug-in failed; `final` is true for the last one.',
    system: true,
    data: Type.Object({
      ...ofAction,
      attempt: Type.Integer({ minimum: 1, description: '1 for the first' }),
      error: Type.Object({
        code: Type.String({ description: 'stable: `action.invalid_input`, `action.timeout`, or what the action says' }),
        message: Type.String({ description: 'for people' }),
        problems: Type.Optional(
          Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }), {
            description: 'invalid parts of the input, by JSON pointer',
          }),
        ),
      }),
      final: Type.Boolean({ description: 'false while another attempt follows' }),
      nextAttemptAt: Type.Optional(Type.String({ description: 'RFC 3339 UTC; absent if `final`' })),
    }),
    example: {
      ...aboutAction,
      attempt: 1,
      error: { code: 'http.status', message: 'The pager answered 503.' },
      final: false,
      nextAttemptAt: '2026-11-20T13:14:25.123Z',
    },
  }),
  'action.refused': defineEvent({
    description: 'An action, trigger or step was refused for a reason that a retry does not change.',
    system: true,
    data: Type.Object({
      /** `send_webhook`, `dispatch_workflow`, `trigger` … */
      action: Type.String(),
      /** `follows-from-itself`, `correlation-exhausted`, `too-many-hops`, `unknown-workflow`, `unknown-webhook` … */
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
  'correlation.exhausted': defineEvent({
    description:
      'One event has led to more events than MILLRACE_CORRELATION_BUDGET allows: rules, workflows and webhooks no longer act on what follows from it. Recorded once for each story.',
    system: true,
    data: Type.Object({
      correlationId: Type.String({ description: 'id of the event that the story began with' }),
      limit: Type.Integer({ minimum: 1, description: 'events that a story may have' }),
      eventId: Type.String({ description: 'the first event beyond the limit' }),
    }),
    example: { correlationId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a', limit: 10_000, eventId },
  }),
} as const;

/** What rules and workflows can ask for without a plug-in, and the event by which they do. */
export const ACTION_REQUESTS = {
  create_issue: 'issue.requested',
  send_webhook: 'webhook.requested',
  dispatch_workflow: 'workflow.requested',
  dispatch_agent: 'agent.requested',
  send_message: 'message.requested',
} as const satisfies Readonly<Record<string, keyof typeof actionEvents | keyof typeof messageEvents>>;
