import { stringifyJson } from '#libs/plugin-sdk/index.js';
import {
  defineProvider,
  type InboundBody,
  type InboundRequest,
  type Normalised,
  type NormalisedEvent,
} from '#libs/plugin-sdk/src/define-provider.js';
import { type Fields, fieldsOf, integerOf, known, listOf, objectOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { hmacSha256Hex, verifyHmac, withinTolerance } from '#libs/plugin-sdk/src/signatures.js';

import { authorOf, channelOf, interactionOf, messageOf, timeOf } from './slack-fields.js';
import { slackMessenger } from './slack-send.js';
import { personalOfChats } from '../personal-fields.js';

const TIMESTAMP = 'x-slack-request-timestamp';
const signedText = ({ headers, rawBody }: Pick<InboundRequest, 'headers' | 'rawBody'>): Buffer =>
  Buffer.concat([Buffer.from(`v0:${headers[TIMESTAMP] ?? ''}:`), rawBody]);
const SCHEME = { header: 'x-slack-signature', prefix: 'v0=', signed: signedText } as const;

/** Messages that people and programs write. Any other subtype is about the channel: somebody joined, a message was deleted. */
const WRITTEN: ReadonlySet<string> = new Set(['bot_message', 'file_share', 'me_message', 'thread_broadcast']);

/** Slack: Events API, slash commands and interactive components, all at one URL. */
export const slack = defineProvider({
  ...slackMessenger,
  name: 'slack',
  personal: personalOfChats(['data.payload.user_id', 'data.payload.user.id', 'data.payload.event.user']),
  description: 'Slack apps: Events API, slash commands and interactions, signed with X-Slack-Signature.',
  wants:
    'X-Slack-Request-Timestamp, in seconds since 1970, and X-Slack-Signature: v0= and 64 hex digits, the HMAC-SHA256 of v0:{timestamp}:{body} with the signing secret of the app',
  config: {
    properties: {
      botToken: { type: 'string', minLength: 1, description: 'xoxb-…, with which messages are sent' },
      apiUrl: { type: 'string', format: 'uri', description: 'of the Web API; default https://slack.com/api' },
    },
    secrets: ['botToken'],
  },
  communicator: true,
  keepHeaders: ['user-agent', TIMESTAMP, 'x-slack-retry-num', 'x-slack-retry-reason'],

  verify(request, context) {
    const verdict = verifyHmac(request, context, SCHEME);
    if (!verdict.ok || verdict.authentication === 'slug') return verdict;
    const seconds = request.headers[TIMESTAMP] ?? '';
    if (!/^\d{1,12}$/.test(seconds)) return { ok: false, reason: 'signature_malformed' };
    return withinTolerance(Number(seconds) * 1000, context.now) ? verdict : { ok: false, reason: 'stale' };
  },

  sign({ headers, rawBody }, { secrets: [secret], now }) {
    if (secret === undefined) return {};
    const timestamp = String(Math.floor(now.getTime() / 1000));
    const signed = signedText({ headers: { ...headers, [TIMESTAMP]: timestamp }, rawBody });
    return { [TIMESTAMP]: timestamp, [SCHEME.header]: `${SCHEME.prefix}${hmacSha256Hex(secret, signed)}` };
  },

  normalise(body) {
    return { ...read(body), ...answerable(body), retry: body.request.headers['x-slack-retry-num'] };
  },

  // Anything else than an empty 200 within three seconds would be shown to the user who pressed the button, or sent again.
  respond: ({ value }) => {
    const { type, challenge } = fieldsOf(value);
    return type === 'url_verification' && typeof challenge === 'string'
      ? { status: 200, body: stringifyJson({ challenge }) }
      : { status: 200, contentType: 'text/plain; charset=utf-8', body: '' };
  },
});

/** Who knows a `response_url` can write into the channel: it is kept apart from what is shown. */
function answerable({ value }: InboundBody): Pick<Normalised, 'payload' | 'replyTo'> {
  const { response_url: url, response_urls: urls, ...payload } = objectOf(value);
  if (url === undefined && urls === undefined) return {};
  const replyTo = textOf(url) ?? textOf(fieldsOf(listOf(urls)[0])['response_url']);
  return { payload, ...(replyTo !== undefined && { replyTo }) };
}

function read({ value, kind }: InboundBody): Normalised {
  const body = fieldsOf(value);
  if (kind === 'form' && textOf(body['command']) !== undefined) return command(body);
  // With it Slack looks at the certificate; there is nothing else in it.
  if (kind === 'form' && body['ssl_check'] !== undefined) return { eventType: 'ssl_check', events: [] };
  const type = textOf(body['type']) ?? 'unknown';
  if (type === 'url_verification') return { eventType: type, events: [] };
  if (type === 'event_callback') return callback(body, fieldsOf(body['event']));
  if (kind === 'form') return interaction(body, type);
  return { deliveryId: textOf(body['event_id']), eventType: type, events: [somethingElse(body)] };
}

function callback(body: Fields, event: Fields): Normalised {
  const eventType = textOf(event['type']) ?? 'unknown';
  const action = textOf(event['subtype']);
  const seconds = integerOf(body['event_time']);
  const timestamp = timeOf(event['event_ts']) ?? (seconds === undefined ? undefined : seconds * 1000);
  return {
    deliveryId: textOf(body['event_id']),
    eventType,
    action,
    events: [{ ...(message(event, eventType, action) ?? somethingElse(event)), timestamp }],
  };
}

function message(event: Fields, eventType: string, action: string | undefined): NormalisedEvent | undefined {
  const channel = channelOf(event['channel']);
  if (!channel || (eventType !== 'message' && eventType !== 'app_mention')) return undefined;
  const edited = eventType === 'message' && action === 'message_changed';
  const said = edited ? fieldsOf(event['message']) : event;
  // A deleted message that has replies is "changed" to a tombstone.
  const subtype = textOf(said['subtype']);
  if (subtype !== undefined && !WRITTEN.has(subtype)) return undefined;
  const message = messageOf(said);
  return {
    type: 'message.received',
    subject: `channel/${channel.id}`,
    data: known({ channel, message: edited ? { ...message, edited } : message, author: authorOf(said) }),
  };
}

function command(body: Fields): Normalised {
  const name = textOf(body['command'])!;
  const channel = channelOf(body['channel_id'], body['channel_name']);
  const author = authorOf({ id: body['user_id'] ?? null, username: body['user_name'] ?? null });
  return {
    deliveryId: textOf(body['trigger_id']),
    eventType: 'slash_command',
    events: [
      {
        type: 'command.invoked',
        subject: `command/${name}`,
        data: known({ command: name, text: textOf(body['text']) ?? '', channel, author }),
      },
    ],
  };
}

function interaction(body: Fields, kind: string): Normalised {
  const channel = channelOf(body['channel']) ?? channelOf(fieldsOf(body['container'])['channel_id']);
  const message = fieldsOf(body['message']);
  const action = fieldsOf(listOf(body['actions'])[0]);
  return {
    deliveryId: textOf(body['trigger_id']),
    eventType: kind,
    events: [
      {
        type: 'interaction.received',
        subject: channel ? `channel/${channel.id}` : '',
        timestamp: timeOf(action['action_ts'] ?? body['action_ts']),
        data: known({
          interaction: interactionOf(body, action, kind),
          channel,
          message: textOf(message['ts']) === undefined ? undefined : messageOf(message),
          author: authorOf(body['user']),
        }),
      },
    ],
  };
}

function somethingElse(event: Fields): NormalisedEvent {
  const channel =
    channelOf(event['channel']) ??
    channelOf(event['channel_id']) ??
    // A reaction, a pin or a star is about a message somewhere.
    channelOf(fieldsOf(event['item'])['channel']) ??
    channelOf(fieldsOf(event['assistant_thread'])['channel_id']);
  return {
    type: 'webhook.received',
    subject: channel ? `channel/${channel.id}` : '',
    data: known({ channel, author: authorOf(event) }),
  };
}
