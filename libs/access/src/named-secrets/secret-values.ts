import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';

import type { Secrets } from '../secrets/secrets.js';
import { secretIdOf } from './named-secret.js';

/** A value may be replaced between the look at the log and the look at the store: then the log names another one. */
const LOOKS = 3;

/**
 * What the secrets of an organisation stand for, for the moment in which an effect is done. The log says which value is in
 * force, so that a secret that was just set counts in every process. Its own injection token.
 */
export class NamedSecretValues {
  constructor(
    private readonly store: EventStore,
    private readonly secrets: Secrets,
  ) {}

  /** Those that have a value, by name. */
  async of(orgId: string, names: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const found = await Promise.all([...new Set(names)].map(async (name) => [name, await this.valueOf(orgId, name)]));
    return new Map(found.filter((one): one is [string, string] => one[1] !== undefined));
  }

  private async valueOf(orgId: string, name: string): Promise<string | undefined> {
    for (let look = 0; look < LOOKS; look++) {
      const last = await readLast(this.store, streams.secret(secretIdOf(orgId, name)));
      if (!last?.is('secret.set')) return undefined;
      const { secret } = last.data;
      const value = (await this.secrets.get([secret])).get(secret);
      if (value !== undefined) return value;
    }
    return undefined;
  }
}
