import { isObject } from '#libs/kernel/src/json.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

import { type Hash, HASH_BYTES, hashPrefixedLeaf } from './merkle.js';

/**
 * The leaf of an event: `millrace-event/v1\n`, and then, each as a big-endian length of 4 bytes and its bytes: id (the 16
 * bytes of the UUID), name of the stream (UTF-8), revision (8 bytes, big-endian), type (UTF-8), data and metadata as stored.
 * Neither the position nor the time of the append is in it: a log that is copied keeps its tree.
 */
export interface LeafFields {
  readonly id: Uuid;
  readonly stream: string;
  readonly revision: bigint;
  readonly type: string;
  /** Text is UTF-8. */
  readonly rawData: string | Uint8Array;
  readonly rawMetadata: string | Uint8Array;
}

const HEAD = 'millrace-event/v1\n';
const LENGTH = 4;
const REVISION = 8;

/** Used again for each leaf. The first byte is what RFC 6962 puts before a leaf. */
let scratch = Buffer.alloc(64 * 1024);

/** A character takes three bytes at most. */
const mostBytesIn = (field: string | Uint8Array): number =>
  typeof field === 'string' ? 3 * field.length : field.length;

/** Writes a field and its length. @returns where the next one begins. */
function put(field: string | Uint8Array, at: number): number {
  const from = at + LENGTH;
  // Counting the bytes of a text before it is written would take as long as writing it.
  const length = typeof field === 'string' ? scratch.write(field, from, 'utf8') : field.length;
  if (typeof field !== 'string') scratch.set(field, from);
  scratch.writeUInt32BE(length, at);
  return from + length;
}

/** Valid until the next call. */
function prefixedLeaf({ id, stream, revision, type, rawData, rawMetadata }: LeafFields): Buffer {
  const texts = mostBytesIn(stream) + mostBytesIn(type) + mostBytesIn(rawData) + mostBytesIn(rawMetadata);
  const most = 1 + HEAD.length + 6 * LENGTH + 16 + REVISION + texts;
  if (most > scratch.length) scratch = Buffer.alloc(2 ** Math.ceil(Math.log2(most)));
  let at = 1 + scratch.write(HEAD, 1, 'latin1');
  at = scratch.writeUInt32BE(16, at);
  at += scratch.write(id.replaceAll('-', ''), at, 'hex');
  at = put(stream, at);
  at = scratch.writeUInt32BE(REVISION, at);
  at = scratch.writeBigUInt64BE(revision, at);
  at = put(type, at);
  at = put(rawData, at);
  at = put(rawMetadata, at);
  return scratch.subarray(0, at);
}

/** Of an event that stands for one that retention had removed, the hash that it holds. */
export const leafHash = (event: LeafFields): Hash =>
  (event.type === HASH_ALONE ? heldHash(event.rawData) : undefined) ?? ownHash(event);

/** Of the event itself, whatever it stands for. */
export const ownHash = (event: LeafFields): Hash => hashPrefixedLeaf(prefixedLeaf(event));

/** The type of an event that has the hash of another one in place of what it said. */
export const HASH_ALONE = 'log.truncated';

function heldHash(rawData: string | Uint8Array): Hash | undefined {
  try {
    const data = parseJson(typeof rawData === 'string' ? rawData : Buffer.from(rawData).toString());
    if (!isObject(data) || typeof data['leaf'] !== 'string') return undefined;
    const hash = Buffer.from(data['leaf'], 'base64');
    return hash.length === HASH_BYTES && hash.toString('base64') === data['leaf'] ? hash : undefined;
  } catch {
    return undefined;
  }
}

/** The bytes that are hashed, without the byte that RFC 6962 puts before them. */
export const leafBytes = (event: LeafFields): Buffer => Buffer.from(prefixedLeaf(event).subarray(1));
