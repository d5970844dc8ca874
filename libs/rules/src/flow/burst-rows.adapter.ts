import type { EntityManager } from 'typeorm';

import { loadRows, removeRows, type StoredRow, upsertRows } from '#libs/persistence/src/rows.adapter.js';
import type { Work } from '#libs/persistence/src/work/work.js';

import { BurstView } from './flow.view.js';
import { windowId } from './throttle.js';

/** The queue of bursts that will be over, and of what tells that they are. */
export const BURSTS = 'rules.bursts';

/** Matches of a rule with `debounce` that follow each other: what waits for its end. */
export interface Burst {
  readonly ruleId: string;
  /** Filled in; a hash where it is long. */
  readonly key: string;
  readonly orgId: string;
  /** Of the rule when it matched last. */
  readonly ruleName: string;
  readonly ruleVersion: number;
  /** The last event that matched. */
  readonly eventId: string;
  readonly position: bigint;
  /** Milliseconds since 1970, by the time at which the log took the events. */
  readonly startedAt: number;
  readonly dueAt: number;
}

/** What is to be told when a burst is over. */
export interface BurstTask {
  readonly ruleId: string;
  readonly key: string;
  readonly orgId: string;
  readonly eventId: string;
  /** Position of that event. */
  readonly last: string;
}

/** @param asOf position of the event that makes it due anew. */
export const taskOf = ({ ruleId, key, orgId, eventId, position, dueAt }: Burst, asOf: bigint): Work<BurstTask> => ({
  queue: BURSTS,
  key: windowId(ruleId, key),
  dueAt: new Date(dueAt),
  payload: { ruleId, key, orgId, eventId, last: String(position) },
  position: asOf,
});

type BurstKey = Pick<Burst, 'ruleId' | 'key'>;

const burstOf = (row: StoredRow<BurstView>): Burst => ({
  ...row,
  position: BigInt(row.position),
  startedAt: Number(row.startedAt),
  dueAt: Number(row.dueAt),
});

/** In the transaction of the checkpoint, as the windows of throttles are. */
export async function loadBursts(tx: EntityManager, wanted: readonly BurstKey[]): Promise<Map<string, Burst>> {
  const rows = await loadRows(tx, BurstView, wanted);
  return new Map(rows.map((row) => [windowId(row.ruleId, row.key), burstOf(row)]));
}

export const saveBursts = (tx: EntityManager, bursts: readonly Burst[]): Promise<void> =>
  upsertRows(tx, BurstView, bursts);

export const removeBursts = (tx: EntityManager, bursts: readonly BurstKey[]): Promise<void> =>
  removeRows(tx, BurstView, bursts);

/** Position of the last match of a burst; `undefined` if it is over. */
export async function lastOfBurst(
  database: Pick<EntityManager, 'query'>,
  { ruleId, key }: BurstKey,
): Promise<bigint | undefined> {
  const [row] = await loadRows(database, BurstView, [{ ruleId, key }]);
  return row && BigInt(row.position);
}
