import { type Static, Type } from '@sinclair/typebox';

import { RequestedBy } from '../../types/actions/requested-by.js';
import { closed, nullable } from '../fields.js';

const text = (most: number, description: string, example: string) =>
  Type.String({
    minLength: 1,
    maxLength: most,
    expected: `a string of 1 to ${most} characters`,
    description,
    examples: [example],
  });

/** What is sent to send a message. */
export const NewMessage = closed(
  {
    integration: text(200, 'Id or name of the integration that sends it.', 'chat'),
    channel: text(500, 'Id or name of a channel.', '#ops'),
    text: text(40_000, 'What it says.', 'The deployment has finished.'),
    threadId: Type.Optional(text(500, 'The message to whose thread it belongs.', '1732108455.000200')),
    blocks: Type.Optional(
      Type.Array(Type.Unknown(), {
        maxItems: 100,
        expected: 'a list of at most 100 entries',
        description: 'Blocks of Slack, or attachments of Bot Framework.',
      }),
    ),
  },
  { $id: 'NewMessage' },
);
export type NewMessage = Static<typeof NewMessage>;

export const MessageStatus = Type.Union([Type.Literal('pending'), Type.Literal('sent'), Type.Literal('failed')]);
export type MessageStatus = Static<typeof MessageStatus>;

const time = Type.String({ format: 'date-time' });
const answer = {
  id: Type.String({ description: 'Of the event that requested it.', examples: ['evt_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
  status: MessageStatus,
  integration: Type.String({ description: 'As it was named: an id or a name.' }),
  integrationId: nullable(Type.String()),
  provider: nullable(Type.String()),
  channel: nullable(Type.String({ description: 'Once it is sent: as the service names it.' })),
  threadId: nullable(Type.String()),
  text: Type.String({ description: 'In lists, its first 1,000 characters.' }),
  requestedBy: RequestedBy,
  eventId: nullable(Type.String({ description: 'Event that led to it.' })),
  attempts: Type.Integer({ minimum: 0, description: 'That have ended.' }),
  error: nullable(
    Type.Object({ code: Type.String(), message: Type.String() }, { description: 'Of the last attempt.' }),
  ),
  nextAttemptAt: nullable(time),
  messageId: nullable(Type.String({ description: 'As the service names it.' })),
  requestedAt: time,
  finishedAt: nullable(time),
};

/** A message as it is listed. */
export const MessageAnswer = Type.Object(answer, { $id: 'MessageAnswer' });
export type MessageAnswer = Static<typeof MessageAnswer>;

export const MessageDetail = Type.Object(
  { ...answer, blocks: nullable(Type.Array(Type.Unknown())) },
  { $id: 'MessageDetail' },
);
export type MessageDetail = Static<typeof MessageDetail>;
