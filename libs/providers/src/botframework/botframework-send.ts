import { hash } from 'node:crypto';

import type { Messenger, OutgoingMessage, SendContext } from '#libs/plugin-sdk/src/services/define-messenger.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import { fieldsOf, idOf, integerOf, known, stringifyJson, textOf } from '#libs/plugin-sdk/src/fields.js';
import { requestJson, statusError } from '#libs/plugin-sdk/src/services/request-json.js';

const TOKEN_URL = 'https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token';
const SCOPE = 'https://api.botframework.com/.default';
/** The connector of Teams for messages that answer nothing. */
const TEAMS = 'https://smba.trafficmanager.net/teams/';
const TEAMS_CONVERSATION = /^(?:19|a):/;
const CONNECTOR = 'The Bot Connector';
const LOGIN = 'The token service of Bot Framework';
/** A token is asked for again so long before it ends. */
const SPARE_SECONDS = 120;

interface Token {
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly validUntil: number;
}

/** Of this process, by who asks where; a changed password is another entry. A few, so that they need no bound. */
const tokens = new Map<string, Token>();

/** Bot Framework: a reply through the connector that the activity came from, with a token of the bot. */
export const botframeworkMessenger: Messenger = {
  async send(message, context) {
    const { serviceUrl, conversationId, activity } = addressOf(message);
    const replyToId = message.channel === undefined ? textOf(activity['id']) : message.threadId;
    const path = `v3/conversations/${encodeURIComponent(conversationId)}/activities`;
    const url = `${serviceUrl.replace(/\/+$/, '')}/${path}${replyToId === undefined ? '' : `/${encodeURIComponent(replyToId)}`}`;
    const body = known({
      type: 'message',
      text: message.text,
      textFormat: 'markdown',
      from: activity['recipient'],
      recipient: message.channel === undefined ? activity['from'] : undefined,
      conversation: { id: conversationId },
      replyToId,
      attachments: message.blocks && [...message.blocks],
    });
    const post = async () =>
      requestJson(context, {
        service: CONNECTOR,
        method: 'POST',
        url,
        headers: { authorization: `Bearer ${await tokenFor(context)}` },
        body,
      });
    let answer = await post();
    if (answer.status === 401) {
      // The token was withdrawn before its time.
      tokens.delete(keyOf(context));
      answer = await post();
    }
    if (answer.status < 200 || answer.status > 299)
      throw statusError(CONNECTOR, answer, context.now, textOf(fieldsOf(fieldsOf(answer.value)['error'])['code']));
    return { channel: conversationId, messageId: idOf(fieldsOf(answer.value)['id']), threadId: replyToId };
  },

  isOwnMessage(event) {
    const activity = fieldsOf(event['payload']);
    const from = textOf(fieldsOf(activity['from'])['id']);
    return from !== undefined && from === textOf(fieldsOf(activity['recipient'])['id']);
  },
};

function addressOf({ channel, event }: OutgoingMessage) {
  const activity = fieldsOf(event?.['payload']);
  const conversationId = channel ?? textOf(fieldsOf(activity['conversation'])['id']);
  if (conversationId === undefined)
    throw new StepError({
      code: 'message.no_channel',
      type: 'configuration',
      message: 'The event came from no conversation. Set "channel" to the id of one.',
      retryable: false,
    });
  const serviceUrl = textOf(activity['serviceUrl']) ?? (TEAMS_CONVERSATION.test(conversationId) ? TEAMS : undefined);
  if (serviceUrl === undefined)
    throw new StepError({
      code: 'message.no_service_url',
      type: 'configuration',
      message:
        'It is not known which connector serves this conversation. Send the message because of an activity of the conversation.',
      retryable: false,
    });
  return { serviceUrl, conversationId, activity };
}

const keyOf = ({ config }: SendContext): string =>
  hash('sha256', stringifyJson([config['tokenUrl'] ?? TOKEN_URL, config['appId'], config['appPassword']]));

async function tokenFor(context: SendContext): Promise<string> {
  const { config, now } = context;
  const key = keyOf(context);
  const kept = tokens.get(key);
  if (kept && kept.validUntil > now.getTime()) return kept.text;
  const appPassword = textOf(config['appPassword']);
  if (appPassword === undefined)
    throw new StepError({
      code: 'botframework.no_password',
      type: 'configuration',
      message: 'The integration has no appPassword. Set config.appPassword to the client secret of the bot.',
      retryable: false,
    });
  const answer = await requestJson(context, {
    service: LOGIN,
    method: 'POST',
    url: textOf(config['tokenUrl']) ?? TOKEN_URL,
    form: {
      grant_type: 'client_credentials',
      client_id: textOf(config['appId']) ?? '',
      client_secret: appPassword,
      scope: SCOPE,
    },
  });
  const said = fieldsOf(answer.value);
  const text = textOf(said['access_token']);
  if (answer.status !== 200 || text === undefined) {
    const { message, retryable, retryAfter } = statusError(LOGIN, answer, now, textOf(said['error']));
    // Nothing was sent: the code says that the message has not arrived.
    throw new StepError({
      code: 'botframework.no_token',
      type: 'authentication',
      message,
      retryable,
      ...(retryAfter !== undefined && { retryAfter }),
    });
  }
  const seconds = integerOf(said['expires_in']) ?? 300;
  tokens.set(key, { text, validUntil: now.getTime() + Math.max(0, seconds - SPARE_SECONDS) * 1000 });
  return text;
}
