import { createHmac, randomBytes } from 'node:crypto';

import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';

import { type FindKey, KEY_NAME } from './sealed-value.js';

export interface SubjectKey {
  readonly name: string;
  readonly key: Buffer;
}

/** What is stored about keys: the keys themselves are secrets. */
export abstract class KeyNames {
  /** The names of the keys in use, by subject; of those that have none, the offered one is stored. */
  abstract claim(orgId: string, offered: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>>;
  /** The key of this name was destroyed: from now on its subject needs another one. */
  abstract retire(names: readonly string[]): Promise<void>;
  abstract inUse(orgId: string, subjects: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Of these names, those of the organisation. */
  abstract ofOrganisation(orgId: string, names: readonly string[]): Promise<readonly string[]>;
}

/** Most keys in memory: some megabytes. */
const MOST = 20_000;
const HASH_KEY = 'subject-hash-key';
const HASH_LENGTH = 22;

export const keyReference = (name: string): string => `subject-key/${name}`;

/**
 * The keys under which personal fields are encrypted: one for each subject, made when the first event about it arrives, and
 * stored before that event is. In memory are the newest ones.
 */
export class SubjectKeys {
  /** `null` where the key was destroyed. */
  private readonly byName = new BoundedMap<string, Buffer | null>(MOST);
  private readonly names = new BoundedMap<string, string>(MOST);
  private hashKey: Promise<Buffer> | undefined;

  constructor(
    private readonly stored: KeyNames,
    private readonly secrets: Secrets,
  ) {}

  /** What an id is stored as. Without the key of the installation nobody can tell of whom it is. */
  async hash(orgId: string, id: string): Promise<string> {
    this.hashKey ??= this.secrets
      .put(DEFAULT_ORG, HASH_KEY, randomBytes(32).toString('base64'))
      .then((text) => Buffer.from(text, 'base64'));
    this.hashKey.catch(() => (this.hashKey = undefined));
    const mac = createHmac('sha256', await this.hashKey).update(`${orgId}\0${id}`);
    return mac.digest('base64url').slice(0, HASH_LENGTH);
  }

  /** The keys of these people, in the order of their names; made durably where there is none. */
  async of(orgId: string, ids: readonly string[]): Promise<readonly SubjectKey[]> {
    const hashes = await Promise.all([...new Set(ids)].map((id) => this.hash(orgId, id)));
    const names = new Map<string, string>();
    for (const hash of hashes) {
      const name = this.names.get(`${orgId} ${hash}`);
      if (name !== undefined) names.set(hash, name);
    }
    const unknown = hashes.filter((hash) => !names.has(hash));
    if (unknown.length > 0) for (const [hash, name] of await this.nameAll(orgId, unknown)) names.set(hash, name);
    const sorted = [...names.values()].sort();
    const find = await this.load(sorted);
    const lost = sorted.filter((name) => !find(name));
    if (lost.length === 0) return sorted.map((name) => ({ name, key: find(name)! }));
    // Erased a moment ago: what comes now is under another key.
    await this.stored.retire(lost);
    for (const hash of hashes) this.names.delete(`${orgId} ${hash}`);
    return this.of(orgId, ids);
  }

  /** The keys of these names, as far as there are any. */
  async load(names: readonly string[]): Promise<FindKey> {
    const keys = new Map<string, Buffer | null | undefined>();
    for (const name of names) keys.set(name, this.byName.get(name));
    const missing = [...keys].flatMap(([name, key]) => (key === undefined ? [name] : []));
    if (missing.length > 0) {
      const found = await this.secrets.get(missing.map(keyReference));
      for (const name of missing) {
        const text = found.get(keyReference(name));
        const key = text === undefined ? null : Buffer.from(text, 'base64');
        keys.set(name, key);
        this.byName.set(name, key);
      }
    }
    return (name) => keys.get(name);
  }

  /** The same for what an organisation may see. */
  async loadFor(orgId: string, names: readonly string[]): Promise<FindKey> {
    const find = await this.load(names);
    const own = new Set(await this.stored.ofOrganisation(orgId, names));
    return (name) => (own.has(name) ? find(name) : undefined);
  }

  /** The keys were destroyed: what is in memory of them must go. */
  forget(subject: { readonly orgId: string; readonly hash: string; readonly names: readonly string[] }): void {
    this.names.delete(`${subject.orgId} ${subject.hash}`);
    for (const name of subject.names) this.byName.set(name, null);
  }

  private async nameAll(orgId: string, hashes: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const known = new Map(await this.stored.inUse(orgId, hashes));
    const missing = hashes.filter((hash) => !known.has(hash));
    if (missing.length > 0) {
      const offered = new Map(missing.map((hash) => [hash, randomBytes((KEY_NAME * 3) / 4).toString('base64url')]));
      // The key first: a name in the table always has one. A process that dies here leaves a secret that nothing names.
      await Promise.all(
        [...offered.values()].map((name) =>
          this.secrets.put(orgId, keyReference(name), randomBytes(32).toString('base64')),
        ),
      );
      crashPoint('privacy.after-key');
      const claimed = await this.stored.claim(orgId, offered);
      // Another process was faster.
      const unused = [...offered].flatMap(([hash, name]) => (claimed.get(hash) === name ? [] : [keyReference(name)]));
      await this.secrets.remove(unused);
      for (const [hash, name] of claimed) known.set(hash, name);
    }
    for (const [hash, name] of known) this.names.set(`${orgId} ${hash}`, name);
    return known;
  }
}
