import type { EventReader, Extent } from '#libs/event-index/src/event-reader.adapter.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { catalogue } from '#libs/events/src/catalogue.js';

import type { CompiledDefinition } from '../language/definition.js';
import type { BacktestRequest } from './backtest-request.js';
import type { Stretch } from './backtest-scan.js';

/** A stretch, and about how many events it holds. */
export interface Range extends Stretch {
  readonly total: number;
}

/** Finds where in the log the events of a backtest are. It ends with the newest event of now: what comes is not waited for. */
export async function rangeOf(
  store: Pick<EventStore, 'head'>,
  index: EventReader,
  orgId: string,
  { from, to }: Pick<BacktestRequest, 'from' | 'to'>,
  rules: readonly CompiledDefinition[],
): Promise<Range> {
  const head = await store.head();
  const isFresh = await index.settle();
  const known = [...new Set([...Object.keys(catalogue), ...(await index.types())])];
  const types = known.filter((type) => rules.some((rule) => rule.matchesType(type)));
  const upTo = to && 'position' in to && to.position < head ? to.position : head;
  const since = from && 'time' in from ? from.time : undefined;
  const before = to && 'time' in to ? to.time : undefined;
  const { total, first, last } = await index.extentOf({
    orgId,
    types,
    upTo,
    ...(from && 'position' in from && { from: from.position }),
    ...(since && { since }),
    ...(before && { before }),
  });
  return {
    orgId,
    // With a fresh index that found nothing there is nothing to read.
    types: isFresh && first === undefined ? [] : types,
    total,
    ...beginningOf(from, first),
    upTo: isFresh && last !== undefined ? last : upTo,
    ...(since && { since: since.getTime() }),
    ...(before && { before: before.getTime() }),
  };
}

function beginningOf(from: BacktestRequest['from'], first: Extent['first']): { readonly from?: bigint } {
  if (first !== undefined) return { from: first };
  return from && 'position' in from ? { from: from.position } : {};
}
