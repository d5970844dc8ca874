import { SliceTable } from '#libs/event-store/src/slice-table.js';
import { followers } from '#libs/events/src/followers.js';

import { type NamedSecret, namedSecret } from './named-secret.js';

export type KnownSecret = Extract<NamedSecret, { kind: 'set' }>;

/** The names of the secrets of each organisation, in memory. Values are not here. */
export class NamedSecretTable extends SliceTable<NamedSecret, 'secret.set' | 'secret.removed'> {
  constructor() {
    super(followers.namedSecrets, namedSecret);
  }

  /** Of one organisation, by name. */
  list(orgId: string): readonly KnownSecret[] {
    return [...this.entries()]
      .flatMap(([, state]) => (state.kind === 'set' && state.orgId === orgId ? [state] : []))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
