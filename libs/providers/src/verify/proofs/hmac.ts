import { createHmac, timingSafeEqual } from 'node:crypto';

import type { HmacScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { decode, type Encoding } from '../request/encodings.js';
import type { Proof } from './proof.js';
import { asSignature, Signature } from './signature.js';
import { signatureWanted } from './wanted.js';

const LENGTHS = { sha256: 32, sha512: 64, sha1: 20 } as const;

/** The key that a secret stands for; `undefined` where it stands for none, or for an empty one. */
export function keyOf(
  secret: string,
  { key = 'utf8', keyPrefix }: Pick<HmacScheme, 'key' | 'keyPrefix'>,
): Buffer | undefined {
  if (keyPrefix !== undefined && !secret.startsWith(keyPrefix)) return undefined;
  const text = secret.slice(keyPrefix?.length ?? 0);
  const bytes = key === 'utf8' ? Buffer.from(text) : decode(text, key as Encoding);
  return bytes === undefined || bytes.length === 0 ? undefined : bytes;
}

export function hmacProof(scheme: HmacScheme): Proof {
  const signature = new Signature(asSignature(scheme));
  const algorithm = scheme.algorithm ?? 'sha256';
  const digest = (key: Buffer, content: Buffer): Buffer => createHmac(algorithm, key).update(content).digest();
  return {
    wants: signatureWanted(scheme, `HMAC-${algorithm.toUpperCase()}`),
    needsSecret: true,
    headers: signature.headers,
    secretProblem: (secret) => (keyOf(secret, scheme) ? undefined : `Must be ${keyInWords(scheme)}.`),
    verify(view, values, { secrets, now }) {
      const keys = secrets.map((secret) => keyOf(secret, scheme)).filter((key) => key !== undefined);
      return signature.verify(
        view,
        values,
        now,
        `hmac-${algorithm}`,
        (given, content) => {
          let matches = false;
          // All are compared: the time must not show which one it was.
          for (const key of keys) {
            const expected = digest(key, content);
            for (const one of given) matches = timingSafeEqual(one, expected) || matches;
          }
          return matches;
        },
        LENGTHS[algorithm],
      );
    },
    sign(view, values, { key, now }) {
      const bytes = keyOf(key, scheme);
      if (!bytes) throw new TypeError(`The secret must be ${keyInWords(scheme)}.`);
      return signature.sign(view, values, now, (content) => digest(bytes, content));
    },
  };
}

function keyInWords({ key = 'utf8', keyPrefix }: HmacScheme): string {
  const written = { utf8: 'text that is not empty', base64: 'base64', hex: 'hex digits, two for each byte' }[key];
  return `${keyPrefix === undefined ? '' : `${keyPrefix} and then `}${written}`;
}
