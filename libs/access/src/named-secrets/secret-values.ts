import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { type Masker, masker } from '#libs/kernel/src/text/masking.js';

import type { Secrets } from '../secrets/secrets.js';
import { secretIdOf } from './named-secret.js';

/** A value may be replaced between the look at the log and the look at the store: then the log names another one. */
const LOOKS = 3;

/** How many replaced values of a secret are kept. A service may echo one that an earlier step has sent. */
const KEPT = 3;

/** What secrets stand for, by name, with the values that these have replaced. */
class SecretValues extends Map<string, string> {
  readonly replaced: string[] = [];
}

/** Takes the values out of what comes back, and those that they have replaced. */
export const maskerOf = (values: ReadonlyMap<string, string>): Masker =>
  masker([...values.values(), ...(values instanceof SecretValues ? values.replaced : [])]);

/** References of the values that are kept of a secret, the one in force first. @param newest events of its stream, newest first. */
export function keptReferences(newest: readonly RecordedEvent[]): readonly string[] {
  const references: string[] = [];
  for (const event of newest.slice(0, KEPT + 1)) {
    if (!event.is('secret.set')) break;
    references.push(event.data.secret);
  }
  return references;
}

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
    const found = new SecretValues();
    await Promise.all([...new Set(names)].map((name) => this.find(orgId, name, found)));
    return found;
  }

  private async find(orgId: string, name: string, found: SecretValues): Promise<void> {
    for (let look = 0; look < LOOKS; look++) {
      const stream = streams.secret(secretIdOf(orgId, name));
      const newest = await this.store.readStream(stream, { direction: 'backwards', limit: KEPT + 1 });
      const [inForce, ...earlier] = keptReferences(newest);
      if (inForce === undefined) return;
      const values = await this.secrets.get([inForce, ...earlier]);
      const value = values.get(inForce);
      if (value === undefined) continue;
      found.set(name, value);
      found.replaced.push(...earlier.flatMap((reference) => values.get(reference) ?? []));
      return;
    }
  }
}
