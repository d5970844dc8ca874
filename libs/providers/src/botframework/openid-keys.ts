import { importJWK, type JWK } from 'jose';

import type { ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, type Json, listOf, textOf, textsOf } from '#libs/plugin-sdk/src/fields.js';

/** Keys are asked for again after so long, as the issuer wishes. */
const FRESH_MS = 24 * 3_600_000;
/** A key that is unknown may be new. Whoever makes ids up causes one look a minute, not one each. */
const LOOK_AGAIN_MS = 60_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 512 * 1024;
const MAX_KEYS = 100;

export interface PublicKey {
  readonly key: Awaited<ReturnType<typeof importJWK>>;
  /** Channels that the key may speak for; empty: the issuer does not say. */
  readonly endorsements: readonly string[];
}

interface KeySet {
  readonly keys: ReadonlyMap<string, PublicKey>;
  readonly fetchedAt: number;
  readonly triedAt: number;
}

/** Keys cannot be fetched at the moment: whether a signature is right cannot be said. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/**
 * Public keys of issuers by OpenID metadata URL, kept in memory: fetched at the first request, again after a day, and
 * when a key id is unknown. Requests that come meanwhile wait for the one fetch.
 */
export class OpenIdKeys {
  private readonly sets = new Map<string, KeySet>();
  private readonly fetching = new Map<string, Promise<KeySet>>();

  /** `undefined` if the issuer has no such key. @throws KeysUnavailable */
  async find(metadataUrl: string, keyId: string, { http, now }: ProviderContext): Promise<PublicKey | undefined> {
    const known = this.sets.get(metadataUrl);
    const at = now.getTime();
    const key = known?.keys.get(keyId);
    if (known && key && Math.abs(at - known.fetchedAt) < FRESH_MS) return key;
    if (known && Math.abs(at - known.triedAt) < LOOK_AGAIN_MS) return key;
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
    const keysUrl = textOf(metadata['jwks_uri']);
    if (keysUrl === undefined) throw new KeysUnavailable(`${metadataUrl} names no jwks_uri`);
    const document = fieldsOf(await getJson(http, keysUrl));
    const keys = new Map<string, PublicKey>();
    for (const entry of listOf(document['keys']).slice(0, MAX_KEYS)) {
      const jwk = fieldsOf(entry);
      const keyId = textOf(jwk['kid']);
      if (keyId === undefined || jwk['kty'] !== 'RSA') continue;
      const key = await importJWK(jwk as JWK, 'RS256').catch(() => undefined);
      if (key) keys.set(keyId, { key, endorsements: textsOf(jwk['endorsements']) });
    }
    if (keys.size === 0) throw new KeysUnavailable(`${keysUrl} holds no RSA key`);
    const set = { keys, fetchedAt: at, triedAt: at };
    this.sets.set(metadataUrl, set);
    return set;
  }
}

async function getJson(http: ProviderContext['http'], url: string): Promise<Json> {
  if (!http) throw new KeysUnavailable('there is no way out from here');
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
  try {
    return JSON.parse(outcome.body.toString('utf8')) as Json;
  } catch {
    throw new KeysUnavailable(`${url} answered what is no JSON`);
  }
}
