import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

import { parseJson } from '#libs/plugin-sdk/index.js';
import type { ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { type Fields, fieldsOf, type Json, listOf, textOf, textsOf } from '#libs/plugin-sdk/src/fields.js';

/** Keys are fetched again after so long, as the issuer asks. */
const FRESH_MS = 24 * 3_600_000;
/** An unknown key may be new. Made-up ids cause one look a minute, not one each. */
const LOOK_AGAIN_MS = 60_000;
const TIMEOUT_MS = 5_000;
/** Microsoft's keys have about 1 MB, since each comes with its certificates. */
const MAX_BYTES = 8 * 1024 * 1024;
/** RS256 needs 2048 bits; what is much longer takes long to check with. */
const [MIN_BITS, MAX_BITS] = [2048, 16_384];

export interface PublicKey {
  readonly key: KeyObject;
  /** Channels that the key may speak for; empty: the issuer does not say. */
  readonly endorsements: readonly string[];
}

/** A key of the issuer that must not be used, and why. */
export interface UnusableKey {
  readonly unusable: string;
}

interface KeySet {
  readonly keys: ReadonlyMap<string, PublicKey | UnusableKey>;
  readonly fetchedAt: number;
  readonly triedAt: number;
}

/** The key cannot be fetched now: whether a signature is right is not known. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/**
 * Public keys of issuers by the URL of their OpenID metadata or of their JWK set, kept in memory: fetched at the first
 * request, again after a day, and when a key id is unknown. Requests that come meanwhile wait for the one fetch.
 */
export class OpenIdKeys {
  private readonly sets = new Map<string, KeySet>();
  private readonly fetching = new Map<string, Promise<KeySet>>();

  /** `undefined` if the issuer has no such key now. @throws KeysUnavailable */
  async find(
    metadataUrl: string,
    keyId: string,
    { http, now }: ProviderContext,
  ): Promise<PublicKey | UnusableKey | undefined> {
    const known = this.sets.get(metadataUrl);
    const at = now.getTime();
    const key = known?.keys.get(keyId);
    if (known && key && Math.abs(at - known.fetchedAt) < FRESH_MS) return key;
    if (known && Math.abs(at - known.triedAt) < LOOK_AGAIN_MS) {
      if (key) return key;
      // A key that is new since then must not be refused permanently.
      throw new KeysUnavailable(
        `the key ${keyId.slice(0, 64)} is unknown; ${metadataUrl} is fetched at most once a minute`,
      );
    }
    try {
      return (await this.fetchOnce(metadataUrl, http, at)).keys.get(keyId);
    } catch (error) {
      // Keys that were good yesterday are better than none while the issuer cannot be asked.
      if (known) this.sets.set(metadataUrl, { ...known, triedAt: at });
      if (key) return key;
      throw error;
    }
  }

  private fetchOnce(metadataUrl: string, http: ProviderContext['http'], at: number): Promise<KeySet> {
    const underWay = this.fetching.get(metadataUrl);
    if (underWay) return underWay;
    const fetching = this.fetch(metadataUrl, http, at).finally(() => this.fetching.delete(metadataUrl));
    this.fetching.set(metadataUrl, fetching);
    return fetching;
  }

  private async fetch(metadataUrl: string, http: ProviderContext['http'], at: number): Promise<KeySet> {
    const metadata = fieldsOf(await getJson(http, metadataUrl));
    const keysUrl = Array.isArray(metadata['keys']) ? metadataUrl : textOf(metadata['jwks_uri']);
    if (keysUrl === undefined) throw new KeysUnavailable(`${metadataUrl} has neither keys nor jwks_uri`);
    const document = keysUrl === metadataUrl ? metadata : fieldsOf(await getJson(http, keysUrl));
    const keys = new Map<string, PublicKey | UnusableKey>();
    for (const entry of listOf(document['keys'])) {
      const jwk = fieldsOf(entry);
      const keyId = textOf(jwk['kid']);
      if (keyId !== undefined && jwk['kty'] === 'RSA') keys.set(keyId, publicKey(jwk));
    }
    if (keys.size === 0) throw new KeysUnavailable(`${keysUrl} has no RSA key`);
    const set = { keys, fetchedAt: at, triedAt: at };
    this.sets.set(metadataUrl, set);
    return set;
  }
}

function publicKey(jwk: Fields): PublicKey | UnusableKey {
  try {
    // Without the certificates, which nobody reads.
    const { kty, n, e } = jwk as JsonWebKey;
    const key = createPublicKey({ key: { kty: kty!, n: n!, e: e! }, format: 'jwk' });
    const { modulusLength: bits = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
    if (publicExponent < 3n) return { unusable: `its exponent is ${publicExponent}` };
    return bits >= MIN_BITS && bits <= MAX_BITS
      ? { key, endorsements: textsOf(jwk['endorsements']) }
      : { unusable: `it has ${bits} bits; RS256 needs ${MIN_BITS} to ${MAX_BITS}` };
  } catch {
    return { unusable: 'it is not a valid RSA key' };
  }
}

async function getJson(http: ProviderContext['http'], url: string): Promise<Json> {
  if (!http) throw new KeysUnavailable('outgoing requests are not available here');
  const outcome = await http.request({
    method: 'GET',
    url,
    headers: { accept: 'application/json' },
    timeoutMs: TIMEOUT_MS,
    keepBytes: MAX_BYTES,
    maxBytes: MAX_BYTES,
    signal: AbortSignal.timeout(2 * TIMEOUT_MS),
  });
  if (outcome.kind === 'failed') throw new KeysUnavailable(`${url}: ${outcome.detail}`);
  if (outcome.status !== 200) throw new KeysUnavailable(`${url} answered ${outcome.status}`);
  if (outcome.truncated) throw new KeysUnavailable(`${url} answered more than ${MAX_BYTES} bytes`);
  try {
    return parseJson(outcome.body.toString('utf8')) as Json;
  } catch {
    throw new KeysUnavailable(`${url} did not answer JSON`);
  }
}
