import type {
  Messenger,
  OutgoingMessage,
  SendContext,
  SentMessage,
} from '#libs/plugin-sdk/src/services/define-messenger.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import { type Fields, fieldsOf, type Json, listOf, stringifyJson, textOf } from '#libs/plugin-sdk/src/fields.js';
import { requestJson, statusError } from '#libs/plugin-sdk/src/services/request-json.js';

const SERVICE = 'Slack';
const API = 'https://slack.com/api';
/** Metadata by which a message of ours is found again. */
const EVENT_TYPE = 'millrace_message';
/** Slack's own errors that pass. */
const PASSING = new Set(['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'ratelimited']);
const CREDENTIALS = new Set([
  'not_authed',
  'invalid_auth',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'no_permission',
]);
const CHANNEL_ID = /^[CDGU][A-Z0-9]{6,20}$/;
const MAX_PAGES = 10;

/** Slack: `chat.postMessage`, and the `response_url` of commands and interactions. */
export const slackMessenger: Messenger = {
  async send(message, context) {
    const { text, threadId, blocks } = message;
    if (message.replyTo !== undefined) return reply(message.replyTo, message, context);
    const channel = channelOf(message);
    const answer = await call('chat.postMessage', context, {
      channel,
      text,
      ...(threadId !== undefined && { thread_ts: threadId }),
      ...(blocks && { blocks: [...blocks] }),
      metadata: { event_type: EVENT_TYPE, event_payload: { id: context.idempotencyKey } },
    });
    const sent = fieldsOf(answer['message']);
    return {
      channel: textOf(answer['channel']) ?? channel,
      messageId: textOf(answer['ts']),
      threadId: textOf(sent['thread_ts']),
    };
  },

  async findSent(message, context) {
    const channel = await channelId(channelOf(message), context);
    const { threadId } = message;
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const answer = await call(threadId === undefined ? 'conversations.history' : 'conversations.replies', context, {
        channel,
        ...(threadId !== undefined && { ts: threadId }),
        // Slack's clock and ours may differ.
        oldest: String(Math.floor(context.since.getTime() / 1000) - 120),
        include_all_metadata: true,
        limit: 200,
        ...(cursor !== undefined && { cursor }),
      });
      for (const one of listOf(answer['messages'])) {
        const said = fieldsOf(one);
        const metadata = fieldsOf(said['metadata']);
        if (metadata['event_type'] !== EVENT_TYPE) continue;
        if (fieldsOf(metadata['event_payload'])['id'] === context.idempotencyKey)
          return { channel, messageId: textOf(said['ts']), threadId: textOf(said['thread_ts']) };
      }
      cursor = textOf(fieldsOf(answer['response_metadata'])['next_cursor']);
      if (cursor === undefined) return undefined;
    }
    throw new StepError({
      code: 'message.outcome_unknown',
      message: 'The channel has too many new messages to find out whether this one was sent. It was not sent again.',
      retryable: false,
    });
  },

  isOwnMessage(event) {
    const body = fieldsOf(event['payload']);
    const said = fieldsOf(body['event']);
    const appId = textOf(said['app_id']) ?? textOf(fieldsOf(said['bot_profile'])['app_id']);
    return appId !== undefined && appId === body['api_app_id'];
  },
};

function channelOf({ channel, event }: OutgoingMessage): string {
  const from = textOf(fieldsOf(event?.['channel'])['id']);
  const to = channel ?? from;
  if (to === undefined)
    throw new StepError({
      code: 'message.no_channel',
      type: 'configuration',
      message: 'The event came from no channel. Set "channel".',
      retryable: false,
    });
  return to;
}

/** Only posting takes names. */
async function channelId(channel: string, context: SendContext): Promise<string> {
  if (CHANNEL_ID.test(channel)) return channel;
  const name = channel.replace(/^#/, '');
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await call('conversations.list', context, {
      limit: 1000,
      exclude_archived: true,
      types: 'public_channel,private_channel',
      ...(cursor !== undefined && { cursor }),
    });
    const found = listOf(answer['channels'])
      .map(fieldsOf)
      .find((one) => one['name'] === name);
    if (found) return textOf(found['id']) ?? channel;
    cursor = textOf(fieldsOf(answer['response_metadata'])['next_cursor']);
    if (cursor === undefined) break;
  }
  throw new StepError({
    code: 'message.outcome_unknown',
    message: `Slack lists no channel "${channel}", so it is not known whether the message was sent. It was not sent again. Use the id of the channel.`,
    retryable: false,
  });
}

/** Slack takes five answers within 30 minutes there, without a token. */
async function reply(
  url: string,
  { text, threadId, blocks }: OutgoingMessage,
  context: SendContext,
): Promise<SentMessage> {
  const body = { text, ...(blocks && { blocks: [...blocks] }), ...(threadId !== undefined && { thread_ts: threadId }) };
  const answer = await requestJson(context, {
    service: SERVICE,
    method: 'POST',
    url,
    body: { ...body, replace_original: false },
  });
  if (answer.status >= 200 && answer.status < 300) return {};
  throw statusError(SERVICE, answer, context.now);
}

/** One method of the Web API. @throws StepError unless Slack says `ok`. */
async function call(method: string, context: SendContext, body: Readonly<Record<string, Json>>): Promise<Fields> {
  const token = textOf(context.config['botToken']);
  if (token === undefined)
    throw new StepError({
      code: 'slack.no_token',
      type: 'configuration',
      message: 'The integration has no botToken. Set config.botToken to the bot token of the Slack app (xoxb-…).',
      retryable: false,
    });
  const base = (textOf(context.config['apiUrl']) ?? API).replace(/\/+$/, '');
  const reads = method.startsWith('conversations.');
  const url = reads ? `${base}/${method}?${query(body)}` : `${base}/${method}`;
  const answer = await requestJson(context, {
    service: SERVICE,
    method: reads ? 'GET' : 'POST',
    url,
    headers: { authorization: `Bearer ${token}` },
    ...(!reads && { body }),
  });
  if (answer.status !== 200) throw statusError(SERVICE, answer, context.now);
  const fields = answer.value === undefined ? undefined : fieldsOf(answer.value);
  if (fields?.['ok'] === true) return fields;
  const error = textOf(fields?.['error']) ?? 'unreadable_answer';
  throw new StepError({
    code: `slack.${error}`,
    ...(CREDENTIALS.has(error) && { type: 'authentication' }),
    message: `Slack refused ${method}: ${error}.`,
    retryable: !fields || PASSING.has(error),
  });
}

const query = (body: Readonly<Record<string, Json>>): string =>
  new URLSearchParams(
    Object.entries(body).map(([key, value]): [string, string] => [
      key,
      typeof value === 'string' ? value : stringifyJson(value),
    ]),
  ).toString();
