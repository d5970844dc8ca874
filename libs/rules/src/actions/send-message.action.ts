import { type ActionKind, keys, needed, neededText, textOf } from './action-kind.js';

export const sendMessage: ActionKind<'message.requested'> = {
  description: 'Requests a message in a channel; the request is listed by `GET /api/v1/actions` until it is sent.',
  with: keys({
    integration: needed('Id of the integration that sends the message.'),
    channel: needed('Such as `#ops`.'),
    text: needed('What it says.'),
  }),
  request: (filled) => ({
    integration: neededText(filled, 'integration'),
    channel: neededText(filled, 'channel'),
    text: textOf(filled['text']),
  }),
};
