import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { loadRows, removeRows, upsertRows } from '#libs/persistence/src/rows.adapter.js';
import type { Work } from '#libs/persistence/src/claims/work.js';

import type { Burst } from '#libs/flow/src/flow-policy.js';
import { BurstView } from './flow.view.js';
import { windowId } from './throttle-windows.adapter.js';

/** The queue of bursts that will be over, and of what tells that they are. */
export const BURSTS = 'rules.bursts';

/** The match that waits for the end of its burst, and the rule as it was then. */
export interface WaitingMatch {
  readonly orgId: string;
  readonly ruleName: string;
  readonly ruleVersion: number;
  readonly eventId: string;
  readonly position: bigint;
}

/** A burst of one rule and key. */
export interface KeptBurst extends Burst<WaitingMatch> {
  readonly ruleId: string;
  /** Filled in; a hash where it is long. */
  readonly key: string;
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

/** @param asOf position of the event that makes it due again. */
export const taskOf = ({ ruleId, key, dueAt, last }: KeptBurst, asOf: bigint): Work<BurstTask> => ({
  queue: BURSTS,
  key: windowId(ruleId, key),
  dueAt: new Date(dueAt),
  payload: { ruleId, key, orgId: last.orgId, eventId: last.eventId, last: String(last.position) },
  position: asOf,
});

type BurstKey = Pick<KeptBurst, 'ruleId' | 'key'>;

/** In the transaction of the checkpoint, as the windows of throttles are. */
export async function loadBursts(tx: ViewTransaction, wanted: readonly BurstKey[]): Promise<Map<string, KeptBurst>> {
  const rows = await loadRows(tx, BurstView, wanted);
  return new Map(
    rows.map(({ ruleId, key, startedAt, dueAt, ...last }) => [
      windowId(ruleId, key),
      {
        ruleId,
        key,
        startedAt: Number(startedAt),
        dueAt: Number(dueAt),
        last: { ...last, position: BigInt(last.position) },
      },
    ]),
  );
}

export const saveBursts = (tx: ViewTransaction, bursts: readonly KeptBurst[]): Promise<void> =>
  upsertRows(
    tx,
    BurstView,
    bursts.map(({ last, ...burst }) => ({ ...burst, ...last })),
  );

export const removeBursts = (tx: ViewTransaction, bursts: readonly BurstKey[]): Promise<void> =>
  removeRows(tx, BurstView, bursts);

/** Position of the last match of a burst; `undefined` if it is over. */
export async function lastOfBurst(
  database: Pick<ViewTransaction, 'query'>,
  { ruleId, key }: BurstKey,
): Promise<bigint | undefined> {
  const [row] = await loadRows(database, BurstView, [{ ruleId, key }]);
  return row && BigInt(row.position);
}
