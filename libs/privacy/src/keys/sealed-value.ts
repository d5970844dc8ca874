import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';

import type { Envelope } from '#libs/event-store/src/opener.js';
import { ERASED, SEALED } from '#libs/events/src/personal/field-path.js';
import { isObject } from '#libs/kernel/src/json.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/** A key by its name; nothing if it was destroyed. */
export type FindKey = (name: string) => Buffer | null | undefined;

/** Length of the name of a key, in characters of base64url. */
export const KEY_NAME = 12;
const NAME_BYTES = 9;
const PLACE_BYTES = 16;
const NONCE = 12;
const TAG = 16;
const VERSION = 1;
const FIXED = 3;

/** A key that needs all of the given ones. */
const joined = (keys: readonly Buffer[]): Buffer =>
  createHmac('sha256', Buffer.concat(keys)).update('millrace personal value').digest();

/** What a value is bound to: the envelope of its event, and the field. */
const placeOf = ({ id, type, metadata }: Envelope, field: readonly string[]): Buffer => {
  const { source, subject, orgId, timestamp } = metadata;
  return createHash('sha256')
    .update(stringifyJson([id, type, source, subject, orgId, timestamp, ...field]))
    .digest()
    .subarray(0, PLACE_BYTES);
};

/**
 * A value under the keys of its subjects: AES-256-GCM. The bytes: version, number of keys (2), their names, the place, nonce,
 * tag, ciphertext. Version, names and place are authenticated.
 * @param names sorted.
 */
export function seal(
  value: unknown,
  envelope: Envelope,
  field: readonly string[],
  names: readonly string[],
  keys: readonly Buffer[],
): string {
  const head = Buffer.alloc(FIXED);
  head.writeUInt8(VERSION);
  head.writeUInt16BE(names.length, 1);
  const about = Buffer.concat([head, Buffer.from(names.join(''), 'base64url'), placeOf(envelope, field)]);
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', joined(keys), nonce, { authTagLength: TAG });
  cipher.setAAD(about);
  const text = Buffer.concat([cipher.update(stringifyJson(value), 'utf8'), cipher.final()]);
  return SEALED + Buffer.concat([about, nonce, cipher.getAuthTag(), text]).toString('base64url');
}

interface Parts {
  readonly names: readonly string[];
  readonly about: Buffer;
  readonly place: Buffer;
  readonly rest: Buffer;
}

function partsOf(text: string): Parts | undefined {
  if (!text.startsWith(SEALED)) return undefined;
  const bytes = Buffer.from(text.slice(SEALED.length), 'base64url');
  if (bytes.length < FIXED || bytes.readUInt8() !== VERSION) return undefined;
  const count = bytes.readUInt16BE(1);
  const names = FIXED + count * NAME_BYTES;
  const about = names + PLACE_BYTES;
  if (count === 0 || bytes.length < about + NONCE + TAG) return undefined;
  const all = bytes.toString('base64url', FIXED, names);
  return {
    names: Array.from({ length: count }, (_, n) => all.slice(n * KEY_NAME, (n + 1) * KEY_NAME)),
    about: bytes.subarray(0, about),
    place: bytes.subarray(names, about),
    rest: bytes.subarray(about),
  };
}

/** The names of the keys that a text needs; empty if it is no encrypted value. */
export const keysOf = (text: string): readonly string[] => partsOf(text)?.names ?? [];

/** The value that a text holds; `undefined` if it is no encrypted value of ours. */
function opened({ names, about, rest }: Parts, find: FindKey): { readonly value: unknown } | undefined {
  const keys = names.map(find);
  if (!keys.every((key) => Buffer.isBuffer(key))) return { value: ERASED };
  try {
    const decipher = createDecipheriv('aes-256-gcm', joined(keys), rest.subarray(0, NONCE), {
      authTagLength: TAG,
    });
    decipher.setAAD(about);
    decipher.setAuthTag(rest.subarray(NONCE, NONCE + TAG));
    const text = Buffer.concat([decipher.update(rest.subarray(NONCE + TAG)), decipher.final()]).toString('utf8');
    return { value: parseAsWritten(text) };
  } catch {
    return undefined;
  }
}

/** The value that a text in a row holds; the text itself if it is no encrypted value. Whoever sees the row may see the value. */
export function openText(text: string, find: FindKey): unknown {
  const parts = partsOf(text);
  const found = parts && opened(parts, find);
  return found ? found.value : text;
}

/**
 * The data of an event with all encrypted values in clear. A text that was encrypted for another event or field stays as it
 * is: whoever copied it there cannot have it decrypted.
 */
export function openAll(value: unknown, envelope: Envelope, find: FindKey, field: readonly string[] = []): unknown {
  if (typeof value === 'string') {
    const parts = partsOf(value);
    if (!parts?.place.equals(placeOf(envelope, field))) return value;
    const found = opened(parts, find);
    // A copy may hold a value that was encrypted before.
    return found ? openAll(found.value, envelope, find, field) : value;
  }
  if (Array.isArray(value)) return value.map((part, index) => openAll(part, envelope, find, [...field, String(index)]));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, openAll(part, envelope, find, [...field, key])]),
  );
}
