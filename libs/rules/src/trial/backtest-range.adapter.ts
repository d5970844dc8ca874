import type { DataSource } from 'typeorm';

import { catalogue } from '#libs/events/src/catalogue.js';

import type { CompiledDefinition } from '../language/definition.js';
import type { BacktestRequest } from './backtest-request.js';
import type { Stretch } from './backtest-scan.js';
import { type Log, settleIndex } from './event-index.adapter.js';

/** A stretch, and about how many events it holds. */
export interface Range extends Stretch {
  readonly total: number;
}

/** Finds where in the log the events of a backtest are. It ends with the newest event of now: what comes is not waited for. */
export async function rangeOf(
  { store, database, progress }: Log,
  orgId: string,
  { from, to }: Pick<BacktestRequest, 'from' | 'to'>,
  rules: readonly CompiledDefinition[],
): Promise<Range> {
  const head = await store.head();
  const isFresh = await settleIndex(store, progress);
  const types = (await knownTypes(database)).filter((type) => rules.some((rule) => rule.matchesType(type)));
  const upTo = to && 'position' in to && to.position < head ? to.position : head;
  const since = from && 'time' in from ? from.time : undefined;
  const before = to && 'time' in to ? to.time : undefined;
  const [row] = await database.query<{ total: string; first: string | null; last: string | null }[]>(
    // The sums keep the planner from walking the log in search of the first and the last.
    `select count(*)::text as total, min(position + 0)::text as first, max(position + 0)::text as last
     from views.events where org_id = $1 and type = any($2) and position >= $3 and position <= $4
       and ($5::timestamptz is null or timestamp >= $5) and ($6::timestamptz is null or timestamp < $6)`,
    [
      orgId,
      types,
      String(from && 'position' in from ? from.position : 0n),
      String(upTo),
      since?.toISOString() ?? null,
      before?.toISOString() ?? null,
    ],
  );
  const { total = '0', first = null, last = null } = row ?? {};
  return {
    orgId,
    // With a fresh index that found nothing there is nothing to read.
    types: isFresh && first === null ? [] : types,
    total: Number(total),
    ...placeOf(from, first),
    upTo: isFresh && last !== null ? BigInt(last) : upTo,
    ...(since && { since: since.getTime() }),
    ...(before && { before: before.getTime() }),
  };
}

const placeOf = (from: BacktestRequest['from'], first: string | null): { readonly from?: bigint } => {
  if (first !== null) return { from: BigInt(first) };
  return from && 'position' in from ? { from: from.position } : {};
};

/** Names of all types that there are, built-in ones and those that are in the log. */
async function knownTypes(database: DataSource): Promise<readonly string[]> {
  // One look-up in the index for each type.
  const rows = await database.query<{ type: string }[]>(
    `with recursive known (type) as (
       (select type from views.events order by type limit 1)
       union all
       select (select e.type from views.events e where e.type > known.type order by e.type limit 1)
       from known where known.type is not null
     ) select type from known where type is not null`,
  );
  return [...new Set([...Object.keys(catalogue), ...rows.map(({ type }) => type)])];
}
