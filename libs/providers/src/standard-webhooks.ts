import { createPublicKey, type KeyObject, timingSafeEqual, verify as verifySignature } from 'node:crypto';

import {
  defineProvider,
  type InboundRequest,
  type ProviderContext,
  type Verdict,
} from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, objectOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';
import { withinTolerance } from '#libs/plugin-sdk/src/signatures.js';
import { STANDARD_SECRET_PREFIX, standardKey, standardSignature } from '#libs/plugin-sdk/src/standard-webhooks.js';

const PUBLIC_KEY = /^whpk_([A-Za-z0-9+/]{43}=)$/;
/** What stands before the 32 bytes of an Ed25519 key in SubjectPublicKeyInfo. */
const ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
/** Bytes of a signature by its version. Any other version is one that we do not know: it stands beside ours. */
const SIGNATURE_BYTES: Readonly<Record<string, number>> = { v1: 32, v1a: 64 };
const MAX_SIGNATURES = 16;

/** Any sender that follows the Standard Webhooks specification: symmetric (`v1`) or Ed25519 (`v1a`) signatures. */
export const standardWebhooks = defineProvider({
  name: 'standard_webhooks',
  description: 'Senders that follow Standard Webhooks: signed with webhook-signature (or svix-signature), v1 or v1a.',
  wants:
    'webhook-id, webhook-timestamp (seconds since 1970, not milliseconds) and webhook-signature: v1, and the base64 HMAC-SHA256 of {id}.{timestamp}.{body}, or v1a, and the Ed25519 signature; several signatures are separated by spaces',
  config: {
    properties: {
      publicKey: {
        type: 'string',
        pattern: PUBLIC_KEY.source,
        description: 'whpk_ and 32 bytes in base64: whose v1a signatures are accepted',
      },
    },
  },
  keepHeaders: ['user-agent', 'webhook-id', 'webhook-timestamp', 'svix-id', 'svix-timestamp', 'traceparent'],

  checkSecret(secret) {
    if (secret.startsWith(STANDARD_SECRET_PREFIX) && standardKey(secret)) return undefined;
    const shape = 'Must be whsec_ and base64, as the sender shows it.';
    return secret.startsWith('whpk_') ? `${shape} Put a public key (whpk_) into config.publicKey.` : shape;
  },
  verify: verifyStandardWebhook,
  sign: signStandardWebhook,

  normalise({ value, request: { headers } }, { isKnownType = isInboundType }) {
    const body = fieldsOf(value);
    const eventType = textOf(body['type']) ?? 'webhook';
    const known = isKnownType(eventType);
    return {
      deliveryId: proofOf(headers)?.id ?? (headers['webhook-id'] || headers['svix-id']),
      eventType,
      events: [
        {
          type: known ? eventType : 'webhook.received',
          subject: '',
          timestamp: textOf(body['timestamp']),
          data: known ? objectOf(body['data']) : {},
        },
      ],
    };
  },
});

/** Three headers, the signed time, and any of several signatures, by any of the secrets or the public key. */
export function verifyStandardWebhook(request: InboundRequest, { secrets, config, now }: ProviderContext): Verdict {
  const publicKey = textOf(config['publicKey']);
  if (secrets.length === 0 && publicKey === undefined) return { ok: true, authentication: 'slug' };
  const proof = proofOf(request.headers);
  if (!proof) return { ok: false, reason: 'signature_missing' };
  const { id, timestamp, signatures } = proof;
  const given = signatures.split(/,? +/).filter(isSignature).slice(0, MAX_SIGNATURES);
  if (!/^\d{1,12}$/.test(timestamp) || given.length === 0) return { ok: false, reason: 'signature_malformed' };
  const by = signedBy(given, { id, timestamp, rawBody: request.rawBody }, secrets, publicKey);
  if (by === undefined) return { ok: false, reason: 'signature_mismatch' };
  // After the signature: a sender that cannot sign learns nothing about the clock.
  if (!withinTolerance(Number(timestamp) * 1000, now)) return { ok: false, reason: 'stale' };
  return { ok: true, authentication: by };
}

/** The three headers, by their own names or by those of Svix, which many senders still use. */
function proofOf(headers: InboundRequest['headers']) {
  for (const prefix of ['webhook', 'svix']) {
    const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => headers[`${prefix}-${name}`]);
    if (id && timestamp && signatures) return { id, timestamp, signatures };
  }
  return undefined;
}

function signedBy(
  given: readonly string[],
  { id, timestamp, rawBody }: { readonly id: string; readonly timestamp: string; readonly rawBody: Buffer },
  secrets: readonly string[],
  publicKey: string | undefined,
): 'hmac-sha256' | 'ed25519' | undefined {
  let symmetric = false;
  let asymmetric = false;
  // Compares with all of them: the time must not reveal which signature or secret it was.
  for (const secret of secrets) {
    const key = standardKey(secret);
    if (key === undefined) continue;
    const expected = Buffer.from(standardSignature(key, id, timestamp, rawBody));
    for (const entry of given) symmetric = isEqual(Buffer.from(entry), expected) || symmetric;
  }
  const key = publicKey === undefined ? undefined : ed25519Key(publicKey);
  if (key) {
    const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), rawBody]);
    for (const entry of given)
      if (entry.startsWith('v1a,'))
        asymmetric = verifySignature(null, signed, key, Buffer.from(entry.slice(4), 'base64')) || asymmetric;
  }
  return symmetric ? 'hmac-sha256' : asymmetric ? 'ed25519' : undefined;
}

/** Of a version that we know, and written in the one canonical way: base64 has several for the same bytes. */
function isSignature(entry: string): boolean {
  const comma = entry.indexOf(',');
  const [version, encoded] = [entry.slice(0, comma), entry.slice(comma + 1)];
  if (!Object.hasOwn(SIGNATURE_BYTES, version)) return false;
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.length === SIGNATURE_BYTES[version] && bytes.toString('base64') === encoded;
}

const isEqual = (left: Buffer, right: Buffer): boolean => left.length === right.length && timingSafeEqual(left, right);

function ed25519Key(publicKey: string): KeyObject | undefined {
  const [, encoded] = PUBLIC_KEY.exec(publicKey) ?? [];
  if (encoded === undefined) return undefined;
  try {
    const key = Buffer.concat([ED25519_PREFIX, Buffer.from(encoded, 'base64')]);
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** Headers that a sender with the first secret sends; the id of the request, and by which names it says it, are kept. */
export function signStandardWebhook(
  { headers, rawBody }: Pick<InboundRequest, 'headers' | 'rawBody'>,
  { secrets: [secret], now }: ProviderContext,
): Record<string, string> {
  const key = secret === undefined ? undefined : standardKey(secret);
  if (key === undefined) return {};
  const prefix = !headers['webhook-id'] && headers['svix-id'] ? 'svix' : 'webhook';
  const id = headers[`${prefix}-id`] || 'msg_saved';
  const timestamp = String(Math.floor(now.getTime() / 1000));
  return {
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: timestamp,
    [`${prefix}-signature`]: standardSignature(key, id, timestamp, rawBody),
  };
}
