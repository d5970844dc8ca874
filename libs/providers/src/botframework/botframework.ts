import { hash } from 'node:crypto';

import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';

import { parseJson } from '#libs/plugin-sdk/index.js';
import {
  defineProvider,
  type InboundRequest,
  type NormalisedEvent,
  type ProviderContext,
  type RefusalReason,
  type Verdict,
} from '#libs/plugin-sdk/src/define-provider.js';
import { type Fields, fieldsOf, type Json, known, listOf, stringifyJson, textOf } from '#libs/plugin-sdk/src/fields.js';

import { botframeworkMessenger } from './botframework-send.js';
import { KeysUnavailable, OpenIdKeys, type PublicKey, type UnusableKey } from './openid-keys.js';
import { personalOfChats } from '../personal-fields.js';

const METADATA_URL = 'https://login.botframework.com/v1/.well-known/openidconfiguration';
const ISSUER = 'https://api.botframework.com';
const SKEW_SECONDS = 300;
const BEARER = /^bearer +([\w-]+\.[\w-]+\.[\w-]+) *$/i;
/** A token with its claims is about 1 KB; what is much longer is none. */
const MAX_TOKEN = 8 * 1024;

const refused = (reason: RefusalReason, detail?: string): Verdict => ({
  ok: false,
  reason,
  ...(detail !== undefined && { detail }),
});
const keys = new OpenIdKeys();

/** Microsoft Bot Framework: Teams, Direct Line and the other channels of Azure Bot Service. */
export const botframework = defineProvider({
  ...botframeworkMessenger,
  name: 'botframework',
  personal: personalOfChats(['data.payload.from.[id, aadObjectId]']),
  description: 'Bot Framework (Teams and others): a JWT of the Bot Connector with every activity.',
  wants: 'Authorization: Bearer and the JWT of the Bot Connector, which it always sends',
  config: {
    properties: {
      appId: { type: 'string', minLength: 1, description: 'Microsoft App ID of the bot: the audience of its tokens' },
      openIdMetadataUrl: { type: 'string', format: 'uri', description: `default ${METADATA_URL}` },
      issuer: { type: 'string', format: 'uri', description: `default ${ISSUER}` },
      appPassword: {
        type: 'string',
        minLength: 1,
        description: 'client secret of the bot, with which messages are sent',
      },
      tokenUrl: {
        type: 'string',
        format: 'uri',
        description: 'where tokens for messages are requested; default: that of Microsoft for multi-tenant bots',
      },
    },
    required: ['appId'],
    secrets: ['appPassword'],
  },
  communicator: true,
  keepHeaders: ['user-agent', 'ms-cv', 'traceparent'],

  verify,

  normalise({ value }) {
    const activity = fieldsOf(value);
    const eventType = textOf(activity['type']) ?? 'unknown';
    return {
      deliveryId: deliveryIdOf(activity, eventType),
      eventType,
      action: textOf(activity['action']) ?? textOf(activity['name']),
      events: [read(activity, eventType)],
    };
  },

  /** To an invoke the answer is the result; whatever else is answered would be shown as an error in Teams. */
  respond: ({ value }) =>
    fieldsOf(value)['type'] === 'invoke'
      ? { status: 200, body: '{}' }
      : { status: 202, contentType: 'text/plain; charset=utf-8', body: '' },
});

async function verify(request: InboundRequest, context: ProviderContext): Promise<Verdict> {
  const { config } = context;
  const authorization = request.headers['authorization'];
  if (authorization === undefined) return refused('signature_missing');
  const [, token] = BEARER.exec(authorization) ?? [];
  if (token === undefined || token.length > MAX_TOKEN) return refused('signature_malformed');
  const header = headerOf(token);
  if (header?.alg !== 'RS256' || typeof header.kid !== 'string') return refused('signature_malformed');
  let key: PublicKey | UnusableKey | undefined;
  try {
    key = await keys.find(textOf(config['openIdMetadataUrl']) ?? METADATA_URL, header.kid, context);
  } catch (error) {
    if (error instanceof KeysUnavailable) return refused('unavailable', error.message);
    throw error;
  }
  if (!key) return refused('signature_mismatch');
  if ('unusable' in key)
    return refused(
      'signature_mismatch',
      `the key ${header.kid.slice(0, 64)} of the issuer cannot be used: ${key.unusable}`,
    );
  try {
    const { payload } = await jwtVerify(token, key.key, {
      algorithms: ['RS256'],
      issuer: textOf(config['issuer']) ?? ISSUER,
      audience: textOf(config['appId']) ?? '',
      clockTolerance: SKEW_SECONDS,
      currentDate: context.now,
      requiredClaims: ['exp'],
    });
    return isAbout(payload, key, request.rawBody) ? { ok: true, authentication: 'jwt' } : refused('signature_mismatch');
  } catch (error) {
    if (error instanceof errors.JWTExpired) return refused('stale');
    if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf') return refused('stale');
    if (error instanceof errors.JOSEError) return refused('signature_mismatch');
    throw error;
  }
}

function headerOf(token: string): { readonly alg?: unknown; readonly kid?: unknown } | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** The token speaks for one channel and one service URL: those of the activity, or it was taken from another one. */
function isAbout(payload: JWTPayload, { endorsements }: PublicKey, rawBody: Buffer): boolean {
  const activity = activityOf(rawBody);
  const serviceUrl = textOf(activity['serviceUrl']);
  if (serviceUrl === undefined || payload['serviceurl'] !== serviceUrl) return false;
  const channel = textOf(activity['channelId']);
  return endorsements.length === 0 || (channel !== undefined && endorsements.includes(channel));
}

function activityOf(rawBody: Buffer): Fields {
  try {
    return fieldsOf(parseJson(rawBody.toString('utf8')) as Json);
  } catch {
    return {};
  }
}

/**
 * `msteams 19:abc@thread.tacv2 1795180454900`: an id is unique within a conversation of a channel alone. An activity about a
 * message (a change, a deletion, a reaction of anybody) has the id of that message, so everything but messages is identified by
 * its type and content too. What is sent again is the same to the last field.
 */
function deliveryIdOf(activity: Fields, eventType: string): string | undefined {
  const id = textOf(activity['id']);
  if (id === undefined) return undefined;
  const parts = [textOf(activity['channelId']), textOf(fieldsOf(activity['conversation'])['id']), id];
  if (eventType !== 'message') parts.push(eventType, `sha256:${hash('sha256', stringifyJson(activity))}`);
  return parts.map((part) => (part ?? '').replace(/[% ]/g, encodeURIComponent)).join(' ');
}

const THREAD = /^(.+);messageid=(\d+)$/i;

/** Teams marks bots by their ids; other channels may say the role. */
const isBot = (from: Fields, id: string, { channelId }: Fields): boolean =>
  from['role'] === 'bot' || from['role'] === 'skill' || (channelId === 'msteams' && id.startsWith('28:'));

function read(activity: Fields, eventType: string): NormalisedEvent {
  const conversation = fieldsOf(activity['conversation']);
  const from = fieldsOf(activity['from']);
  // In a channel of Teams each thread is a conversation, which names its first message.
  const [, id = textOf(conversation['id']), first] = THREAD.exec(textOf(conversation['id']) ?? '') ?? [];
  const channelName = textOf(fieldsOf(fieldsOf(activity['channelData'])['channel'])['name']);
  const channel = id === undefined ? undefined : known({ id, name: channelName ?? textOf(conversation['name']) });
  const authorId = textOf(from['id']);
  const author =
    authorId === undefined
      ? undefined
      : known({ id: authorId, name: textOf(from['name']), bot: isBot(from, authorId, activity) ? true : undefined });
  const about = { subject: id === undefined ? '' : `channel/${id}`, timestamp: textOf(activity['timestamp']) };
  const isMessage = eventType === 'message' || eventType === 'messageUpdate';
  if (!isMessage || !channel) return { type: 'webhook.received', ...about, data: known({ channel, author }) };
  const messageId = textOf(activity['id']);
  const message = known({
    id: messageId,
    text: textOf(activity['text']) ?? '',
    // Pressing a button of a card replies to the card, which need not be the first of its thread.
    threadId: first === undefined ? textOf(activity['replyToId']) : first === messageId ? undefined : first,
    edited: eventType === 'messageUpdate' ? true : undefined,
    mentions: mentionsOf(activity['entities']),
    attachments: attachmentsOf(activity['attachments']),
  });
  return { type: 'message.received', ...about, data: known({ channel, message, author }) };
}

const orNothing = <Item>(items: readonly Item[]): readonly Item[] | undefined =>
  items.length === 0 ? undefined : items;

const mentionsOf = (entities: Json | undefined) =>
  orNothing(
    listOf(entities).flatMap((entity) => {
      const { type, mentioned } = fieldsOf(entity);
      const id = textOf(fieldsOf(mentioned)['id']);
      return type === 'mention' && id !== undefined ? [known({ id, name: textOf(fieldsOf(mentioned)['name']) })] : [];
    }),
  );

const attachmentsOf = (attachments: Json | undefined) =>
  orNothing(
    listOf(attachments).flatMap((attachment) => {
      const { id, name, contentType, contentUrl } = fieldsOf(attachment);
      // The text of the message once more, which Teams always sends.
      if (contentType === 'text/html' && contentUrl === undefined && name === undefined) return [];
      return known({ id: textOf(id), name: textOf(name), contentType: textOf(contentType), url: textOf(contentUrl) });
    }),
  );
