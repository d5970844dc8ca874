import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

import type { PublicKeyScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { decode } from '../request/encodings.js';
import type { Proof } from './proof.js';
import { asSignature, Signature } from './signature.js';
import { signatureWanted } from './wanted.js';

/** What stands before the 32 bytes of an Ed25519 key in its SPKI form. */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** A public key of this kind; `undefined` for anything else, a private key among it. */
export function publicKeyOf(text: string, kind: PublicKeyScheme['kind']): KeyObject | undefined {
  const trimmed = text.trim();
  if (trimmed.includes('PRIVATE KEY')) return undefined;
  try {
    const key = trimmed.startsWith('-----BEGIN')
      ? createPublicKey(trimmed)
      : createPublicKey({ key: spkiOf(trimmed, kind)!, format: 'der', type: 'spki' });
    const isRight =
      kind === 'ed25519'
        ? key.asymmetricKeyType === 'ed25519'
        : key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
    return isRight ? key : undefined;
  } catch {
    return undefined;
  }
}

function spkiOf(text: string, kind: PublicKeyScheme['kind']): Buffer | undefined {
  const hex = kind === 'ed25519' && text.length === 64 ? decode(text, 'hex') : undefined;
  const bytes = hex ?? decode(text.replace(/\s+/g, ''), 'base64');
  return kind === 'ed25519' && bytes?.length === 32 ? Buffer.concat([ED25519_SPKI, bytes]) : bytes;
}

/** PEM, or base64 of PKCS #8. @throws TypeError */
export function privateKeyOf(text: string): KeyObject {
  const trimmed = text.trim();
  try {
    return trimmed.startsWith('-----BEGIN')
      ? createPrivateKey(trimmed)
      : createPrivateKey({ key: Buffer.from(trimmed, 'base64'), format: 'der', type: 'pkcs8' });
  } catch {
    throw new TypeError('The private key must be PEM, or base64 of PKCS #8.');
  }
}

export function publicKeyProof(scheme: PublicKeyScheme): Proof {
  const signature = new Signature(asSignature(scheme));
  const key = publicKeyOf(scheme.publicKey, scheme.kind);
  const digest = scheme.kind === 'ecdsa' ? 'sha256' : null;
  return {
    wants: signatureWanted(scheme, scheme.kind === 'ecdsa' ? 'ECDSA-P256-SHA256 (DER)' : 'Ed25519'),
    needsSecret: false,
    headers: signature.headers,
    verify: (view, values, { now }) =>
      signature.verify(view, values, now, scheme.kind, (given, content) =>
        key === undefined ? false : given.some((one) => verify(digest, content, key, one)),
      ),
    sign: (view, values, { key: secret, now }) =>
      signature.sign(view, values, now, (content) => sign(digest, content, privateKeyOf(secret))),
  };
}
