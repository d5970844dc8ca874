import { type Committed, execute, fold } from '#libs/event-store/src/command-handlers.js';
import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { type Holding, reserveName } from '#libs/event-store/src/names/unique-name.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { RevokeToken, revokeToken, token } from './token.js';
import type { KnownToken, TokenTable } from './token.table.js';

/**
 * Revokes a token with the role admin, unless it is the last one. Revocations of one organisation take turns, as things that
 * want one name do: nobody decides while another revocation has decided and not been recorded. Whether the others are still
 * valid is asked of their streams, since a table may be behind.
 * @throws Rejected `token.last_admin`
 */
export async function revokeAdmin(
  { store, clock, tokens }: { readonly store: EventStore; readonly clock: Clock; readonly tokens: TokenTable },
  known: KnownToken,
  actor: string,
): Promise<Committed> {
  const { id, orgId } = known;
  const turn = { kind: token.name, scope: orgId, name: 'revoked admin' };
  const holding = async (holder: string): Promise<Holding> => {
    const { revision } = await tokenNow(store, holder);
    return { stream: streams.token(holder), revision, hasName: false };
  };
  for (;;) {
    const now = clock.now();
    const { revision, isActive } = await tokenNow(store, id);
    const others = tokens.otherAdmins(known, now);
    if (isActive) {
      if (others.length === 0) throw lastAdmin();
      await reserveName(store, turn, { id, orgId, actor, now, revision }, holding);
      const states = await Promise.all(others.map((other) => tokenNow(store, other.id)));
      if (!states.some((other) => other.isActive)) throw lastAdmin();
    }
    try {
      const revoke = new RevokeToken(id, { orgId, actor }, revision);
      return await execute(store, clock, token, revokeToken, revoke);
    } catch (error) {
      // Somebody was faster, or ended a turn that took too long: the decision may be out of date.
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

async function tokenNow(store: EventStore, id: string) {
  const events = await readWhole(store, streams.token(id));
  return { revision: events.at(-1)?.revision ?? -1n, isActive: fold(token, events).kind === 'active' };
}

const lastAdmin = (): Rejected =>
  new Rejected(
    'conflict',
    'token.last_admin',
    'This is the last valid token with the role admin. Create another one first, then revoke this one.',
  );
