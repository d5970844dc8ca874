import type { EntityManager } from 'typeorm';

import { type ThrottleWindow, windowId } from './throttle.js';

/** A window as it is kept: with the time after which nobody asks for it any more. */
export interface KeptWindow extends ThrottleWindow {
  readonly endsAt: number;
}

/**
 * Throttle windows in the transaction of the checkpoint: an event that is looked at again, after a crash, meets the
 * windows as they were when it was looked at first.
 */
export async function loadWindows(
  tx: EntityManager,
  wanted: readonly { readonly ruleId: string; readonly key: string }[],
): Promise<Map<string, ThrottleWindow>> {
  if (wanted.length === 0) return new Map();
  const rows = await tx.query<{ rule_id: string; key: string; started_at: string; used: number }[]>(
    `select w.rule_id, w.key, w.started_at, w.used from views.rule_throttles w
       join (select distinct * from unnest($1::text[], $2::text[]) as t(rule_id, key)) t using (rule_id, key)`,
    [wanted.map(({ ruleId }) => ruleId), wanted.map(({ key }) => key)],
  );
  return new Map(
    rows.map((row) => [
      windowId(row.rule_id, row.key),
      { ruleId: row.rule_id, key: row.key, startedAt: Number(row.started_at), used: row.used },
    ]),
  );
}

/** Keeps the windows, and forgets those that ended before `time`. */
export async function saveWindows(tx: EntityManager, windows: readonly KeptWindow[], time: number): Promise<void> {
  await tx.query(
    `insert into views.rule_throttles (rule_id, key, started_at, used, ends_at)
     select * from unnest($1::text[], $2::text[], $3::bigint[], $4::integer[], $5::bigint[])
     on conflict (rule_id, key) do update
       set started_at = excluded.started_at, used = excluded.used, ends_at = excluded.ends_at`,
    [
      windows.map(({ ruleId }) => ruleId),
      windows.map(({ key }) => key),
      windows.map(({ startedAt }) => startedAt),
      windows.map(({ used }) => used),
      windows.map(({ endsAt }) => endsAt),
    ],
  );
  await tx.query('delete from views.rule_throttles where ends_at < $1', [time]);
}
