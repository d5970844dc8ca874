import { headerText } from '#libs/plugin-sdk/src/body/body-text.js';
import {
  defineProvider,
  type InboundBody,
  type InboundRequest,
  type Normalised,
  type Unreadable,
} from '#libs/plugin-sdk/src/define-provider.js';
import { type Json, type JsonObject, objectOf, stringifyJson, textOf } from '#libs/plugin-sdk/src/fields.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';

import { bearerConfig, SHARED_SECRET_WANTS, signSharedSecret, verifySharedSecret } from './shared-secret.js';

const UNREADABLE: Unreadable = {
  unreadable:
    'The body is not a CloudEvent 1.0. Send id, source, type and specversion "1.0", in the JSON (application/cloudevents+json) or in the headers ce-id, ce-source, ce-type and ce-specversion.',
};

/** CloudEvents 1.0 over HTTP: structured, binary and batched. */
export const cloudevents = defineProvider({
  name: 'cloudevents',
  description: 'CloudEvents 1.0: structured, binary or batch, signed or with a bearer token.',
  wants: SHARED_SECRET_WANTS,
  anyBody: true,
  config: bearerConfig,
  keepHeaders: [
    'user-agent',
    'ce-id',
    'ce-source',
    'ce-type',
    'ce-specversion',
    'ce-subject',
    'ce-time',
    'ce-dataschema',
    'traceparent',
  ],

  verify: verifySharedSecret,
  sign: signSharedSecret,
  preflight: permission,

  normalise(body, { isKnownType = isInboundType }) {
    const isBinary = body.kind !== 'batch' && body.request.contentType !== 'application/cloudevents+json';
    if (isBinary) return binary(body, isKnownType);
    const made = structured(body.value, isKnownType);
    return 'unreadable' in made ? made : { ...made, idOf: 'event' };
  },
});

const ORIGIN = /^[\x21-\x7e]{1,253}$/;

/** The handshake of the CloudEvents webhook specification: a sender that knows the address may deliver. */
function permission({ headers }: InboundRequest, perMinute: number | undefined) {
  const origin = headers['webhook-request-origin'];
  if (origin === undefined || !ORIGIN.test(origin)) return undefined;
  return {
    allow: 'POST',
    'webhook-allowed-origin': origin,
    ...(headers['webhook-request-rate'] !== undefined && { 'webhook-allowed-rate': String(perMinute ?? '*') }),
  };
}

type IsKnown = (type: string) => boolean;

function structured(value: Json, isKnownType: IsKnown): Normalised | Unreadable {
  const { data, data_base64: _, ...attributes } = objectOf(value);
  return normalised(attributes, data, isKnownType);
}

function binary({ value, request: { headers } }: InboundBody, isKnownType: IsKnown): Normalised | Unreadable {
  const attributes: Record<string, Json> = {};
  if (headers['content-type'] !== undefined) attributes['datacontenttype'] = headers['content-type'];
  for (const name in headers) {
    if (!name.startsWith('ce-')) continue;
    const text = attributeText(headers[name]!);
    if (text === undefined) return { unreadable: notDecodable(name) };
    attributes[name.slice('ce-'.length)] = text;
  }
  return normalised(attributes, value, isKnownType);
}

const notDecodable = (header: string): string =>
  `The header ${header} is not percent-encoded UTF-8. Encode each byte outside printable ASCII, and each blank, quote and percent sign, as % and two hex digits.`;

function normalised(attributes: JsonObject, data: Json | undefined, isKnownType: IsKnown): Normalised | Unreadable {
  const [id, source, type] = [textOf(attributes['id']), textOf(attributes['source']), textOf(attributes['type'])];
  if (id === undefined || source === undefined || type === undefined || attributes['specversion'] !== '1.0')
    return UNREADABLE;
  const known = isKnownType(type);
  return {
    deliveryId: deliveryIdOf(source, id),
    eventType: type,
    events: [
      {
        type: known ? type : 'webhook.received',
        subject: textOf(attributes['subject']) ?? source,
        timestamp: textOf(attributes['time']),
        data: { ...(known ? objectOf(data) : {}), cloudEvent: attributes },
      },
    ],
  };
}

/** Unique together only. A source is a URI reference, which has no blank: up to the first blank it is the source. */
const deliveryIdOf = (source: string, id: string): string =>
  source.includes(' ') || source.startsWith('[') ? stringifyJson([source, id]) : `${source} ${id}`;

const QUOTED = /^"(.*)"$/s;
const BAD_PERCENT = /%(?![0-9a-f]{2})/i;

/**
 * The text of an attribute in a header: without quotes around it, as older senders write it, and percent-decoded. `undefined`
 * if a percent sign is not followed by two hex digits, or the bytes are not UTF-8.
 */
function attributeText(header: string): string | undefined {
  const value = header.trim();
  const text = headerText(QUOTED.exec(value)?.[1]!.replace(/\\(.)/gs, '$1') ?? value);
  if (BAD_PERCENT.test(text)) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
