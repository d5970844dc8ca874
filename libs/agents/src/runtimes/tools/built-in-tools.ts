import { type TObject, Type } from '@sinclair/typebox';

import type { BUILT_IN_TOOLS } from '#libs/events/src/shapes/agents/agent-config-shape.js';

import type { ExecutionDraft } from '../../engine/execution-state.js';

type Name = (typeof BUILT_IN_TOOLS)[number];
type Arguments = Readonly<Record<string, unknown>>;
interface Asker {
  readonly agentId: string;
  readonly executionId: string;
  readonly eventId: string;
  /** Where the log keeps that event. */
  readonly event: { readonly stream: string; readonly revision: string } | undefined;
}

/** A tool that is built in: what it takes, and what it asks another stage for; without `request` it searches events. */
export interface BuiltInTool {
  readonly description: string;
  readonly inputSchema: TObject;
  readonly request?: (args: Arguments, asker: Asker) => Omit<ExecutionDraft, 'id'>;
}

const text = (description: string) => Type.String({ minLength: 1, description });
const optional = (description: string) => Type.Optional(text(description));
const by = ({ agentId, executionId, eventId, event }: Asker) => ({
  requestedBy: { kind: 'agent' as const, agentId, executionId },
  eventId,
  ...(event && { event }),
});

/**
 * A request and the intent of the call are one append, so that it is made once, whatever happens: the outcome is found by the
 * request's id.
 */
export const builtInTools: Readonly<Record<Name, BuiltInTool>> = {
  create_issue: {
    description:
      'Opens an issue. With a dedupeKey, adds a comment to the open issue with that key instead of a second one. With issue, comments on an existing issue, labels it or closes it.',
    inputSchema: Type.Object(
      {
        title: text('In one line.'),
        body: optional('Markdown.'),
        priority: optional('Such as high.'),
        labels: Type.Optional(Type.Array(Type.String({ minLength: 1 }))),
        assignee: optional('Who works on it.'),
        dedupeKey: optional('The same text for the same problem.'),
        tracker: optional('Name of a tracker. Default: the built-in one.'),
        issue: optional('Number or id of an existing issue: the body, or else the title, is added to it as a comment.'),
        close: Type.Optional(Type.Boolean({ description: 'Whether to close that issue.' })),
      },
      { additionalProperties: false },
    ),
    request: (args, asker) => ({ type: 'issue.requested', data: { ...by(asker), ...(args as { title: string }) } }),
  },
  send_message: {
    description: 'Sends a message to a channel of Slack or of another chat.',
    inputSchema: Type.Object(
      {
        integration: text('Id or name of the integration.'),
        channel: optional('Such as #ops. Default: where the event came from.'),
        text: text('The message.'),
        threadId: optional('Answer in this thread.'),
      },
      { additionalProperties: false },
    ),
    request: (args, asker) => ({
      type: 'message.requested',
      data: { ...by(asker), ...(args as { integration: string; text: string }) },
    }),
  },
  run_workflow: {
    description: 'Runs a workflow and returns its outputs.',
    inputSchema: Type.Object(
      {
        workflow: text('Its name.'),
        inputs: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'By name.' })),
      },
      { additionalProperties: false },
    ),
    request: ({ workflow, inputs = {} }, asker) => ({
      type: 'workflow.requested',
      data: { ...by(asker), workflow: String(workflow), inputs: inputs as Record<string, unknown>, isChild: true },
    }),
  },
  query_events: {
    description: 'Finds recorded events, the newest first.',
    inputSchema: Type.Object(
      {
        types: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description: 'Such as pr.*; default: all.' })),
        subject: optional('What they are about, such as repository/acme/app.'),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 20 })),
      },
      { additionalProperties: false },
    ),
  },
};
