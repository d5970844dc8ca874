import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import { Author, Channel, Inbound, inboundData, Message, Repository } from '../neutral.js';

const author = Type.Optional(Author);
const slack = { provider: 'slack', deliveryId: 'Ev08MFMKH6', sourceIp: '3.94.92.68' };
const channel = { id: 'C024BE91L', name: 'ops' };
const ada = { id: 'U061F7AUR', username: 'ada' };

/** What comes in and has no more particular type; and what people write to chats. */
export const inboundEvents = {
  'webhook.received': defineEvent({
    description: 'A webhook was received for which no more specific type exists.',
    data: Type.Object({
      ...Inbound,
      repository: Type.Optional(Repository),
      channel: Type.Optional(Channel),
      cloudEvent: Type.Optional(
        Type.Record(Type.String(), Type.Unknown(), {
          description: 'attributes of a CloudEvent, extensions included, in any mode',
        }),
      ),
      author,
    }),
    example: {
      provider: 'generic_webhook',
      eventType: 'alert.fired',
      deliveryId: '0198c0de-0000-7000-8000-000000000001',
      sourceIp: '203.0.113.7',
      payload: { severity: 'critical', message: 'DB latency > 500ms', host: 'db-1' },
    },
  }),
  'message.received': defineEvent({
    description: 'A message was written in a channel or to the bot.',
    data: inboundData({ channel: Channel, message: Message, author }),
    example: {
      ...slack,
      eventType: 'message',
      payload: { type: 'event_callback' },
      channel,
      message: { id: '1355517523.000005', text: 'Is the database slow?' },
      author: ada,
    },
  }),
  'command.invoked': defineEvent({
    description: 'A slash command was used.',
    data: inboundData({
      command: Type.String({ description: 'with the slash: `/deploy`' }),
      text: Type.String({ description: 'text after the command' }),
      channel: Type.Optional(Channel),
      author,
    }),
    example: {
      ...slack,
      eventType: 'slash_command',
      payload: { command: '/deploy', text: 'staging' },
      command: '/deploy',
      text: 'staging',
      channel,
      author: ada,
    },
  }),
  'interaction.received': defineEvent({
    description: 'A button was pressed, an entry was chosen or a form was submitted.',
    data: inboundData({
      interaction: Type.Object({
        kind: Type.String({ description: "the sender's own name: `block_actions`, `view_submission` …" }),
        actionId: Type.Optional(Type.String({ description: 'of the button or field' })),
        value: Type.Optional(Type.Unknown({ description: 'what was chosen' })),
      }),
      channel: Type.Optional(Channel),
      message: Type.Optional(Message),
      author,
    }),
    example: {
      ...slack,
      eventType: 'block_actions',
      payload: { type: 'block_actions' },
      interaction: { kind: 'block_actions', actionId: 'approve', value: 'yes' },
      channel,
      author: ada,
    },
  }),
} as const;
