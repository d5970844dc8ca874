import { Type } from '@sinclair/typebox';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { Detached, mayPass, requestedBy, requestStep } from './request-step.js';

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

/** A message in a chat. */
export const sendMessageStep = requestStep({
  name: 'send_message',
  description:
    'Sends a message through an integration of Slack, Bot Framework or a plug-in, and waits until it is sent.',
  inputSchema: Type.Object(
    {
      integration: Type.String({
        minLength: 1,
        description: 'Id or name of the integration.',
        refersTo: 'integration',
      }),
      channel: text('Id or name of a channel, such as `#ops`. Default: where the event of the run came from.'),
      text: Type.String({ minLength: 1, description: 'What it says.' }),
      threadId: text('The message to whose thread it belongs.'),
      blocks: Type.Optional(
        Type.Array(Type.Unknown(), { description: 'Blocks of Slack, or attachments of Bot Framework.' }),
      ),
      respond: Type.Optional(
        Type.Boolean({ description: "`true`: answer at the event's own address, as commands of Slack have it." }),
      ),
      detached: Detached,
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    channel: Type.Optional(Type.String()),
    messageId: Type.Optional(Type.String()),
    threadId: Type.Optional(Type.String()),
    requestId: Type.Optional(Type.String()),
  }),
  request: 'message.requested',

  requestData({ integration, text: said, blocks, respond, ...rest }, decision) {
    const texts = Object.entries(rest).filter(([key, value]) => key !== 'detached' && typeof value === 'string');
    return {
      ...requestedBy(decision),
      integration: String(integration),
      text: String(said),
      ...(Object.fromEntries(texts) as { channel?: string; threadId?: string }),
      ...(Array.isArray(blocks) && { blocks }),
      ...(respond === true && { respond }),
    };
  },
  outcomes: ['message.sent', 'message.failed'],

  output(outcome) {
    if (outcome.type === 'message.failed') {
      const { code, message } = outcome.data.error;
      throw new StepError({ code, message, retryable: mayPass(code) });
    }
    const { channel, messageId, threadId } = outcome.data;
    return { channel, messageId, threadId };
  },
});
