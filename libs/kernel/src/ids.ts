import { createHmac, hash, randomBytes } from 'node:crypto';

/**
 * Identity. Inside, an id is a UUID (v7 when new, v5 when derived from its cause, v8 when the cause must not tell it); outside it is a prefix and 26
 * characters of Crockford base32 over the same 128 bits: `evt_01jq…`. The two convert into each other without loss.
 */
export type Uuid = string;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const VALUES = new Map([...ALPHABET].map((character, value) => [character, value]));
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Prefixes of public ids, by thing. */
export const PREFIXES = {
  event: 'evt',
  integration: 'int',
  rule: 'rul',
  workflow: 'wf',
  run: 'run',
  bulkRetry: 'ret',
  webhook: 'whk',
  delivery: 'del',
  agent: 'agt',
  execution: 'exec',
  issue: 'iss',
  organisation: 'org',
  token: 'tok',
  secret: 'sec',
  eventType: 'ety',
  eventView: 'eview',
  replay: 'rpl',
  rebuild: 'reb',
} as const;
export type Prefix = (typeof PREFIXES)[keyof typeof PREFIXES];

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function format(bytes: Uint8Array): Uuid {
  let hex = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) hex += '-';
    hex += HEX[bytes[i]!]!;
  }
  return hex;
}

/** Two characters, by the ten bits that they stand for. */
const PAIRS = Array.from({ length: 1024 }, (_, bits) => ALPHABET[bits >> 5]! + ALPHABET[bits & 31]!);

let pool = randomBytes(0);
let poolOffset = 0;
let lastMilliseconds = 0;
let sequence = 0;

/**
 * A new UUID v7 (RFC 9562): ordered by time, also within one millisecond of one process. Randomness is drawn in
 * blocks, since one `randomBytes` call costs more than all the rest of a request's identity.
 */
export function uuid7(now: number = Date.now()): Uuid {
  if (now > lastMilliseconds) {
    lastMilliseconds = now;
    sequence = 0;
  } else if (++sequence > 0xfff) {
    lastMilliseconds++;
    sequence = 0;
  }
  if (poolOffset + 8 > pool.length) {
    pool = randomBytes(4096);
    poolOffset = 0;
  }
  const bytes = new Uint8Array(16);
  let rest = lastMilliseconds;
  for (let i = 5; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[6] = 0x70 | (sequence >> 8);
  bytes[7] = sequence & 0xff;
  for (let i = 8; i < 16; i++) bytes[i] = pool[poolOffset++]!;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return format(bytes);
}

/** Namespace of every derived id of Millrace: drawn once, part of every stored name, never to change. */
const NAMESPACE = Buffer.from('0c5b8d1f6a2e5b4c9d3e7f8091a2b3c4', 'hex');

/** A UUID v5 over the parts of a cause. The parts are joined by NUL, so `['a','bc']` and `['ab','c']` differ. */
export function uuid5(...parts: readonly string[]): Uuid {
  const hex = hash('sha1', named(parts.join('\0')), 'hex');
  const variant = HEX[(parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80]!;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

/** The namespace is at its beginning, for names that are short: nearly all. */
const shortName = Buffer.alloc(1024);
NAMESPACE.copy(shortName);

function named(name: string): Buffer {
  if (name.length * 3 > shortName.length - NAMESPACE.length) return Buffer.concat([NAMESPACE, Buffer.from(name)]);
  return shortName.subarray(0, NAMESPACE.length + shortName.write(name, NAMESPACE.length));
}

/** A UUID v8 over the parts of a cause that nobody can work out without the secret: HMAC-SHA256, joined as for {@link uuid5}. */
export function uuid8(secret: string, ...parts: readonly string[]): Uuid {
  const bytes = createHmac('sha256', secret).update(parts.join('\0')).digest();
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return format(bytes);
}

/** URL-safe base64 of 24 bytes over the same parts: an unguessable text that the next try works out again. */
export const secretText = (secret: string, ...parts: readonly string[]): string =>
  createHmac('sha256', secret).update(parts.join('\0')).digest().subarray(0, 24).toString('base64url');

export const isUuid = (text: string): boolean => UUID_PATTERN.test(text);

/** `prefix_` and 26 characters over the UUID's bits. */
export function publicId(prefix: Prefix, uuid: Uuid): string {
  const hex = uuid.replaceAll('-', '');
  const word = (at: number): number => parseInt(hex.slice(at, at + 5), 16);
  // 26 × 5 = 130 bits: the first character carries the top 3 bits only. Five hexadecimal digits are four characters.
  const first = parseInt(hex.slice(0, 2), 16);
  let text = `${prefix}_${PAIRS[first]}`;
  for (let at = 2; at < 32; at += 5) {
    const value = word(at);
    text += PAIRS[value >> 10]! + PAIRS[value & 0x3ff]!;
  }
  return text;
}

/** The UUID behind a public id, or `undefined` if the text is not one with this prefix. */
export function uuidOf(prefix: Prefix, id: string): Uuid | undefined {
  if (id.length !== prefix.length + 27 || !id.startsWith(`${prefix}_`)) return undefined;
  const bytes = new Uint8Array(16);
  let bits = 0;
  let value = 0;
  let at = 0;
  for (let i = 0; i < 26; i++) {
    const digit = VALUES.get(id[prefix.length + 1 + i]!);
    if (digit === undefined || (i === 0 && digit > 7)) return undefined;
    value = (value << (i === 0 ? 3 : 5)) | digit;
    bits += i === 0 ? 3 : 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = value >> bits;
      value &= (1 << bits) - 1;
    }
  }
  return format(bytes);
}

/** A new public id. */
export const newId = (prefix: Prefix): string => publicId(prefix, uuid7());
/** A public id derived from its cause: the same cause, the same id. */
export const derivedId = (prefix: Prefix, ...parts: readonly string[]): string => publicId(prefix, uuid5(...parts));

/** An unguessable text of `bytes` random bytes in URL-safe base64: slugs, tokens, secrets. */
export const randomText = (bytes: number): string => randomBytes(bytes).toString('base64url');
