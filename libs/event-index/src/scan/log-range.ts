import { catalogue } from '#libs/events/src/catalogue.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

import type { TimeOf } from '../event-query.js';
import type { EventReader, Extent } from '../event-reader.adapter.js';

/** An end of a range: a place in the log, or a time. */
export type Bound = { readonly position: bigint } | { readonly time: Date };

/** What somebody wants to read of the log. */
export interface AskedRange {
  readonly orgId: string;
  /** Which time of an event the times are compared with. */
  readonly by: TimeOf;
  /** Inclusive. */
  readonly from?: Bound | undefined;
  /** A position is inclusive, a time exclusive. */
  readonly to?: Bound | undefined;
  /** Whether events of a type are wanted; absent: all of them. */
  readonly matchesType?: ((type: string) => boolean) | undefined;
}

/** The part of the log that a scan reads. Positions are inclusive. */
export interface LogRange {
  readonly orgId: string;
  /** Absent: all types. */
  readonly types?: readonly string[];
  readonly from?: bigint;
  readonly upTo: bigint;
  /** Which time of an event is compared with the next two. */
  readonly by: TimeOf;
  /** Inclusive, and exclusive; milliseconds. */
  readonly since?: number;
  readonly before?: number;
}

/** A range, and about how many events it has. */
export interface CountedRange extends LogRange {
  readonly total: number;
}

/** A time, or a position as answers give it; `undefined`, with the problem noted, for anything else. */
export function boundOf(given: unknown, pointer: string, problems: Problems): Bound | undefined {
  if (given === undefined) return undefined;
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= 0) return { position: BigInt(given) };
  if (typeof given === 'string' && /^\d{1,18}$/.test(given)) return { position: BigInt(given) };
  const time = typeof given === 'string' ? parseTime(given) : undefined;
  if (time) return { time };
  problems.add(pointer, 'Must be a time such as 2026-11-20T13:00:00Z or 2026-11-20, or a position of the log.');
  return undefined;
}

/**
 * Finds where in the log the events are that somebody wants to read.
 * @param head the range ends there at the latest, however fast the log grows.
 */
export async function rangeOf(
  index: EventReader,
  { orgId, by, from, to, matchesType }: AskedRange,
  head: bigint,
): Promise<CountedRange> {
  const isFresh = await index.settle();
  const upTo = to && 'position' in to && to.position < head ? to.position : head;
  const since = from && 'time' in from ? from.time : undefined;
  const before = to && 'time' in to ? to.time : undefined;
  const types = matchesType && (await typesIn(index)).filter(matchesType);
  const { total, first, last } = await index.extentOf({
    orgId,
    ...(types && { types }),
    upTo,
    by,
    ...(from && 'position' in from && { from: from.position }),
    ...(since && { since }),
    ...(before && { before }),
  });
  return {
    orgId,
    by,
    // With a fresh index that found nothing there is nothing to read.
    ...(isFresh && first === undefined ? { types: [] } : types && { types }),
    total,
    ...beginningOf(from, first),
    upTo: isFresh && last !== undefined ? last : upTo,
    ...(since && { since: since.getTime() }),
    ...(before && { before: before.getTime() }),
  };
}

/** The log is filtered by names, so that a glob is resolved against all types that there are. */
const typesIn = async (index: EventReader): Promise<readonly string[]> => [
  ...new Set([...Object.keys(catalogue), ...(await index.types())]),
];

function beginningOf(from: Bound | undefined, first: Extent['first']): { readonly from?: bigint } {
  if (first !== undefined) return { from: first };
  return from && 'position' in from ? { from: from.position } : {};
}
