import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { loadRows, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { ThrottleView } from './flow.view.js';
import type { Window } from '#libs/flow/src/flow-policy.js';

/** A window of one rule and key, with the time after which nobody asks for it any more. */
export interface KeptWindow extends Window {
  readonly ruleId: string;
  /** At most 200 characters. */
  readonly key: string;
  readonly endsAt: number;
}

export const windowId = (ruleId: string, key: string): string => `${ruleId} ${key}`;

/**
 * Throttle windows in the transaction of the checkpoint: an event that is looked at again, after a crash, meets the
 * windows as they were when it was looked at first.
 */
export async function loadWindows(
  tx: ViewTransaction,
  wanted: readonly { readonly ruleId: string; readonly key: string }[],
): Promise<Map<string, Window>> {
  const rows = await loadRows(tx, ThrottleView, wanted);
  return new Map(
    rows.map(({ ruleId, key, startedAt, used }) => [windowId(ruleId, key), { startedAt: Number(startedAt), used }]),
  );
}

/** Keeps the windows, and forgets those that ended before `time`. */
export async function saveWindows(tx: ViewTransaction, windows: readonly KeptWindow[], time: number): Promise<void> {
  await upsertRows(tx, ThrottleView, windows);
  tx.write('delete from views.rule_throttles where ends_at < $1', [time]);
}
