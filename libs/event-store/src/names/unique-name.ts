import { setTimeout as delay } from 'node:timers/promises';

import { streams } from '#libs/events/src/streams.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { type EventStore, type RecordedEvent, WrongRevision } from '../event-store.js';
import { newEvent } from '../new-event.js';
import { readLast } from '../reading.js';

/** A name that one thing of a kind may have at a time. */
export interface UniqueName {
  /** `agent`, `integration` … */
  readonly kind: string;
  /** Within what it is unique: the id of an organisation, or the empty text for everywhere. */
  readonly scope: string;
  readonly name: string;
}

/** Who wants the name. */
export interface Claimant {
  readonly id: string;
  readonly orgId: string;
  readonly actor: string;
  readonly now: Date;
  /** Where its stream ended when it decided to take the name; -1n if there is none. What it appends must expect this. */
  readonly revision: bigint;
}

/** A thing now. */
export interface Holding {
  readonly stream: string;
  /** -1n if there is no stream. */
  readonly revision: bigint;
  readonly hasName: boolean;
}

/** How long a holder that is about to take the name is waited for: it does so within milliseconds, or has died. */
const PATIENCE_MS = 1_000;
const POLL_MS = 25;

/**
 * Reserves a name before the event that takes it. Whether a name is taken is decided by the stream of its holder alone: a
 * reservation only says where to look, so nothing has to be released when a thing is removed or renamed.
 *
 * A reservation is spent once its holder's stream has moved on. One whose holder died before that is ended by moving the
 * stream (`name.lapsed`): should the holder live after all, its append expects the revision of before and is refused, and
 * it has to reserve again. So at no moment do two have the name, however slow either of them is.
 * @returns false if another thing has the name.
 */
export async function reserveName(
  store: EventStore,
  unique: UniqueName,
  { id, orgId, actor, now, revision }: Claimant,
  holding: (id: string) => Promise<Holding>,
): Promise<boolean> {
  const { kind, scope, name } = unique;
  const stream = streams.name(kind, scope, name);
  for (;;) {
    const last = await readLast(store, stream);
    if (last?.is('name.reserved') && last.data.holder !== id && (await isTaken(store, last, holding))) return false;
    const data = { kind, name, holder: id, revision: String(revision) };
    const context = { id: uuid7(), orgId, actor, now, subject: `${kind}/${id}` };
    try {
      const reserved = newEvent({ type: 'name.reserved', data }, context);
      await store.append(stream, [reserved], last?.revision ?? 'no-stream');
      crashPoint('names.reserved');
      return true;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}

async function isTaken(
  store: EventStore,
  reservation: RecordedEvent<'name.reserved'>,
  holding: (id: string) => Promise<Holding>,
): Promise<boolean> {
  const { kind, name, holder, revision: before } = reservation.data;
  const patient = Math.min(Date.now(), reservation.created.getTime()) + PATIENCE_MS;
  for (;;) {
    const { stream, revision, hasName } = await holding(holder);
    if (hasName) return true;
    if (revision > BigInt(before)) return false;
    if (Date.now() < patient) {
      await delay(POLL_MS);
      continue;
    }
    const { orgId } = reservation.metadata;
    const context = { id: uuid7(), orgId, actor: 'millrace', now: new Date(), subject: `${kind}/${holder}` };
    const lapsed = newEvent({ type: 'name.lapsed', data: { kind, name } }, context);
    try {
      await store.append(stream, [lapsed], revision < 0n ? 'no-stream' : revision);
      return false;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
    }
  }
}
