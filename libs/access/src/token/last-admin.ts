import { type Committed, execute, fold } from '#libs/event-store/src/command-handlers.js';
import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { type Holding, reserveName } from '#libs/event-store/src/names/unique-name.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { RevokeToken, revokeToken, token, type Token } from './token.js';
import type { KnownToken, TokenTable } from './token.table.js';

interface Parts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly tokens: TokenTable;
}

/**
 * Revokes a token with the role admin, unless it is the last one.
 * @throws Rejected `token.last_admin`
 */
export const revokeAdmin = (parts: Parts, known: KnownToken, actor: string): Promise<Committed<Token>> =>
  leaveAdmins(parts, known, actor, (revision) => {
    const revoke = new RevokeToken(known.id, { orgId: known.orgId, actor }, revision);
    return execute(parts.store, parts.clock, token, revokeToken, revoke);
  });

/**
 * Makes a change after which a token may be no admin any more, unless it is the last one. Such changes of one organisation take
 * turns, as things that want one name do: nobody decides while another change is decided and not recorded. Whether the others
 * are still valid is asked of their streams, since a table may be behind.
 * @param change expects the revision.
 * @throws Rejected `token.last_admin`
 */
export async function leaveAdmins<T>(
  { store, clock, tokens }: Parts,
  known: KnownToken,
  actor: string,
  change: (revision: bigint) => Promise<T>,
): Promise<T> {
  const { id, orgId } = known;
  const turn = { kind: token.name, scope: orgId, name: 'revoked admin' };
  const holding = async (holder: string): Promise<Holding> => {
    const { revision } = await tokenNow(store, holder, clock.now());
    return { stream: streams.token(holder), revision, hasName: false };
  };
  for (;;) {
    const now = clock.now();
    const { revision, isAdmin } = await tokenNow(store, id, now);
    const others = tokens.otherAdmins(known, now);
    if (isAdmin) {
      if (others.length === 0) throw lastAdmin();
      await reserveName(store, turn, { id, orgId, actor, now, revision }, holding);
      const states = await Promise.all(others.map((other) => tokenNow(store, other.id, now)));
      if (!states.some((other) => other.isAdmin)) throw lastAdmin();
    }
    try {
      return await change(revision);
    } catch (error) {
      // Somebody was faster, or ended a turn that took too long: the decision may be out of date.
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

async function tokenNow(store: EventStore, id: string, now: Date) {
  const events = await readWhole(store, streams.token(id));
  const state = fold(token, events);
  const settings = state.kind === 'active' ? state.settings : undefined;
  const isValid = settings?.expiresAt === undefined || settings.expiresAt > now;
  const isAdmin = isValid && settings?.roles.includes('admin') === true;
  return { revision: events.at(-1)?.revision ?? -1n, isAdmin };
}

const lastAdmin = (): Rejected =>
  new Rejected(
    'conflict',
    'token.last_admin',
    'This is the last valid token with the role admin. Create another one first, then change or revoke this one.',
  );
