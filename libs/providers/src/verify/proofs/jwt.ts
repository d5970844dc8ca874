import { createSecretKey } from 'node:crypto';

import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload, SignJWT } from 'jose';

import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { timingSafeEqual } from '#libs/plugin-sdk/src/signatures.js';
import type { ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import type { JwtScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { decode, digestOf } from '../request/encodings.js';
import { type Finding, malformed, mismatch, missing, type Proof, proved, stale } from './proof.js';
import { privateKeyOf } from './public-key.js';
import type { RequestView } from '../request/views.js';

/** How far clocks may be apart. */
const SKEW_SECONDS = 300;

export type PublicKey = Parameters<typeof jwtVerify>[1];

/** Public keys by their id; `undefined` where the issuer has no such key. */
export interface KeySource {
  find(keysUrl: string, keyId: string, context: ProviderContext): Promise<PublicKey | undefined>;
  /** Whether what was thrown means that keys cannot be fetched now. */
  isUnavailable(error: unknown): boolean;
}

export function jwtProof(scheme: JwtScheme, keys: KeySource): Proof {
  const header = (scheme.header ?? 'Authorization').toLowerCase();
  const needsSecret = scheme.algorithm === 'HS256';
  return {
    wants: wanted(scheme),
    needsSecret,
    headers: [header],
    async verify(view, _, context) {
      const given = view.header(header);
      if (given === undefined || given === '') return missing();
      const token = given.replace(/^bearer +/i, '').trim();
      const protectedHeader = headerOf(token);
      if (!protectedHeader) return malformed();
      if (protectedHeader.alg !== scheme.algorithm) return mismatch();
      const candidates = await keysFor(scheme, keys, protectedHeader.kid, context);
      if (!Array.isArray(candidates)) return candidates;
      return checked(scheme, token, candidates, view, context.now);
    },
    async sign(view, _, { key, now }) {
      const { bodyHash, issuer, audience, algorithm } = scheme;
      const claims: JWTPayload = { ...scheme.claims };
      if (bodyHash) claims[bodyHash.claim] = hashText(view, bodyHash);
      if (issuer !== undefined) claims.iss = typeof issuer === 'string' ? issuer : issuer[0]!;
      if (audience !== undefined) claims.aud = audience;
      const seconds = Math.floor(now.getTime() / 1_000);
      if (!bodyHash || scheme.maxAge !== undefined) claims.iat = seconds;
      if (!bodyHash) claims.exp = seconds + 300;
      const secret = needsSecret ? createSecretKey(Buffer.from(key)) : privateKeyOf(key);
      const token = await new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: 'JWT' }).sign(secret);
      return { headers: { [header]: header === 'authorization' && !needsSecret ? `Bearer ${token}` : token } };
    },
  };
}

function headerOf(token: string) {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

type Key = Parameters<typeof jwtVerify>[1];

async function keysFor(
  { algorithm, keysUrl }: JwtScheme,
  keys: KeySource,
  keyId: string | undefined,
  context: ProviderContext,
): Promise<Key[] | Finding> {
  if (algorithm === 'HS256')
    return context.secrets.filter((secret) => secret !== '').map((secret) => createSecretKey(Buffer.from(secret)));
  if (keyId === undefined) return malformed();
  try {
    const key = await keys.find(keysUrl!, keyId, context);
    return key === undefined ? mismatch() : [key];
  } catch (error) {
    if (!keys.isUnavailable(error)) throw error;
    return { ok: false, reason: 'unavailable', failed: 'signature', detail: (error as Error).message };
  }
}

async function checked(
  scheme: JwtScheme,
  token: string,
  keys: readonly Key[],
  view: RequestView,
  now: Date,
): Promise<Finding> {
  let payload: JWTPayload | undefined;
  let isLate = false;
  for (const key of keys)
    try {
      const options = { algorithms: [scheme.algorithm], currentDate: now, clockTolerance: SKEW_SECONDS };
      ({ payload } = await jwtVerify(token, key, options));
    } catch (error) {
      // The signature was right: the time is looked at after it.
      if (error instanceof errors.JWTExpired) isLate = true;
      else if (error instanceof errors.JWTClaimValidationFailed && TIMES.has(error.claim)) isLate = true;
      else if (!(error instanceof errors.JOSEError) && !(error instanceof TypeError)) throw error;
    }
  if (isLate) return stale();
  if (!payload) return mismatch();
  if (!claimsFit(scheme, payload)) return mismatch('claims');
  const { bodyHash } = scheme;
  if (bodyHash) {
    const claimed = payload[bodyHash.claim];
    const given = typeof claimed === 'string' ? decode(claimed, bodyHash.encoding ?? 'hex') : undefined;
    if (!given || !timingSafeEqual(given, digestOf(view.request.rawBody, bodyHash.algorithm ?? 'sha256')))
      return mismatch('bodyHash');
  }
  return isYoung(scheme, payload, now) ? proved('jwt') : stale();
}

const TIMES: ReadonlySet<string> = new Set(['nbf', 'iat', 'exp']);

function claimsFit({ issuer, audience, claims = {} }: JwtScheme, payload: JWTPayload): boolean {
  const issuers = issuer === undefined ? undefined : [issuer].flat();
  if (issuers && !(typeof payload.iss === 'string' && issuers.includes(payload.iss))) return false;
  if (audience !== undefined && ![payload.aud].flat().includes(audience)) return false;
  return Object.entries(claims).every(([name, value]) => Object.hasOwn(payload, name) && payload[name] === value);
}

function isYoung({ maxAge }: JwtScheme, { exp, iat }: JWTPayload, now: Date): boolean {
  const seconds = now.getTime() / 1_000;
  if (iat !== undefined && iat > seconds + SKEW_SECONDS) return false;
  if (exp !== undefined || maxAge === undefined) return true;
  return iat !== undefined && seconds - iat <= tryParseDuration(maxAge)! / 1_000;
}

const hashText = (view: RequestView, { algorithm, encoding }: NonNullable<JwtScheme['bodyHash']>): string =>
  digestOf(view.request.rawBody, algorithm ?? 'sha256').toString(encoding ?? 'hex');

function wanted({ header = 'Authorization', algorithm, issuer, audience, bodyHash }: JwtScheme): string {
  const more = [
    issuer !== undefined && `iss ${[issuer].flat().join(' or ')}`,
    audience !== undefined && `aud ${audience}`,
    bodyHash && `the ${bodyHash.algorithm ?? 'sha256'} hash of the body in ${bodyHash.claim}`,
  ].filter((one) => typeof one === 'string');
  return `${header}: a JWT signed with ${algorithm}${more.length === 0 ? '' : `, with ${more.join(', ')}`}`;
}
