import {
  defineProvider,
  type InboundBody,
  type InboundRequest,
  type Normalised,
  type Unreadable,
} from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, type Json, objectOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';

import { bearerConfig, SHARED_SECRET_WANTS, signSharedSecret, verifySharedSecret } from './shared-secret.js';

const UNREADABLE: Unreadable = {
  unreadable:
    'This is no CloudEvent 1.0: id, source, type and specversion "1.0" are needed, in the JSON (application/cloudevents+json) or in the headers ce-id, ce-source, ce-type and ce-specversion.',
};

/** CloudEvents 1.0 over HTTP: structured, binary and batched, with JSON data. */
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

  normalise(body) {
    const isBinary = body.kind !== 'batch' && body.request.contentType !== 'application/cloudevents+json';
    if (isBinary) return binary(body);
    const made = structured(body.value);
    return 'unreadable' in made ? made : { ...made, idOf: 'event' };
  },
});

const ORIGIN = /^[\x21-\x7e]{1,253}$/;

/** The handshake of the CloudEvents webhook specification: whoever knows the address may deliver. */
function permission({ headers }: InboundRequest, perMinute: number | undefined) {
  const origin = headers['webhook-request-origin'];
  if (origin === undefined || !ORIGIN.test(origin)) return undefined;
  return {
    allow: 'POST',
    'webhook-allowed-origin': origin,
    ...(headers['webhook-request-rate'] !== undefined && { 'webhook-allowed-rate': String(perMinute ?? '*') }),
  };
}

function structured(value: Json): Normalised | Unreadable {
  const event = fieldsOf(value);
  return normalised((name) => textOf(event[name]), event['data']);
}

function binary({ value, request: { headers } }: InboundBody): Normalised | Unreadable {
  return normalised((name) => decoded(headers[`ce-${name}`]), value);
}

function normalised(attribute: (name: string) => string | undefined, data: Json | undefined): Normalised | Unreadable {
  const [id, source, type] = [attribute('id'), attribute('source'), attribute('type')];
  if (id === undefined || source === undefined || type === undefined || attribute('specversion') !== '1.0')
    return UNREADABLE;
  const known = isInboundType(type);
  return {
    // Unique together only. A source holds no blank: it is a URI reference.
    deliveryId: `${source} ${id}`,
    eventType: type,
    events: [
      {
        type: known ? type : 'webhook.received',
        subject: attribute('subject') ?? source,
        timestamp: attribute('time'),
        data: known ? objectOf(data) : {},
      },
    ],
  };
}

/** Header values hold what is no printable ASCII percent-encoded, in UTF-8. */
function decoded(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
