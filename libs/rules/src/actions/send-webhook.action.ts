import { type ActionKind, keys, neededText, optional } from './action-kind.js';

export const sendWebhook: ActionKind<'webhook.requested'> = {
  description: 'Delivers the event, or the payload, to a webhook (its `whk_` id) or a url, signed and with retries.',
  with: keys({
    webhook: optional('Id of an outbound webhook: `whk_…`. Either this or `url`.', 'webhook'),
    url: optional('A URL without a webhook. Either this or `webhook`.'),
    payload: optional('Sent instead of the event.'),
  }),
  takesSecrets: true,
  check: (given, pointer, problems) => {
    if ((given['webhook'] === undefined) === (given['url'] === undefined))
      problems.add(pointer, 'Must name either a webhook (its whk_ id) or a url.');
  },
  request: (filled) => ({
    ...(filled['webhook'] === undefined
      ? { url: neededText(filled, 'url') }
      : { webhookId: neededText(filled, 'webhook') }),
    ...(filled['payload'] !== undefined && { payload: filled['payload'] }),
  }),
};
