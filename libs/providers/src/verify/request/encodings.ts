import { createHash } from 'node:crypto';

export type Encoding = 'hex' | 'base64' | 'base64url';
export type DigestName = 'sha256' | 'sha512' | 'sha1';

const SHAPES: Readonly<Record<Encoding, RegExp>> = {
  hex: /^(?:[0-9a-fA-F]{2})+$/,
  base64: /^[A-Za-z0-9+/]+={0,2}$/,
  base64url: /^[A-Za-z0-9_-]+={0,2}$/,
};

/**
 * The bytes of a signature or a key; `undefined` for anything else. Hex may be in either case, base64 with or without
 * padding; but there is one way of writing the bytes, so that no byte of a signature can be changed unseen.
 */
export function decode(text: string, encoding: Encoding): Buffer | undefined {
  if (!SHAPES[encoding].test(text)) return undefined;
  const bytes = Buffer.from(text, encoding);
  if (encoding === 'hex') return bytes;
  const bare = text.replace(/=+$/, '');
  const padding = text.length - bare.length;
  if (padding > 0 && text.length % 4 !== 0) return undefined;
  return bytes.toString(encoding).replace(/=+$/, '') === bare ? bytes : undefined;
}

export const digestOf = (bytes: Buffer, algorithm: DigestName): Buffer => createHash(algorithm).update(bytes).digest();
