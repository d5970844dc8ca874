import { type PastKind, pastKind } from '#libs/event-store/src/past-kind.js';

import { namedSecret, secretIdOf } from './named-secrets/named-secret.js';
import { organisation } from './organisation/organisation.js';
import { token } from './token/token.js';

/** Tokens, secrets and organisations as they were: never a value. */
export const pastAccess: readonly PastKind[] = [
  pastKind({
    name: 'tokens',
    slice: token,
    show: (state) => {
      if (state.kind !== 'active') return undefined;
      const { name, roles, expiresAt } = state.settings;
      // It may be created again where nobody has seen the first one.
      const createdAt = state.createdAt.toISOString();
      return { name, roles, expiresAt: expiresAt?.toISOString() ?? null, bootstrap: state.bootstrap, createdAt };
    },
  }),
  pastKind({
    name: 'secrets',
    slice: namedSecret,
    key: 'name',
    idOf: secretIdOf,
    show: (state) => (state.kind === 'set' ? { name: state.name } : undefined),
  }),
  pastKind({
    name: 'organisations',
    slice: organisation,
    everywhere: true,
    show: (state) => (state.kind === 'unknown' ? undefined : { name: state.name, archived: state.kind === 'archived' }),
  }),
];
