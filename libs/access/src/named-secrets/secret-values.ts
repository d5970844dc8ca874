import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

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

  /** @throws Rejected `secret.unknown` for a name that has no value. */
  async of(orgId: string, names: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const values = await Promise.all(
      [...new Set(names)].map(async (name) => [name, await this.valueOf(orgId, name)] as const),
    );
    return new Map(values);
  }

  private async valueOf(orgId: string, name: string): Promise<string> {
    for (let look = 0; look < LOOKS; look++) {
      const last = await readLast(this.store, streams.secret(secretIdOf(orgId, name)));
      if (!last?.is('secret.set')) break;
      const { secret } = last.data;
      const value = (await this.secrets.get([secret])).get(secret);
      if (value !== undefined) return value;
    }
    throw new Rejected(
      'conflict',
      'secret.unknown',
      `There is no secret "${name}". Set it with millrace secret set ${name}, or PUT /api/v1/secrets/${name}.`,
    );
  }
}
