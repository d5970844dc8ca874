import { setImmediate, setTimeout } from 'node:timers/promises';

import type { TimeOf } from '#libs/event-index/src/event-query.js';
import type { EventReader, Extent } from '#libs/event-index/src/event-reader.adapter.js';
import type { AllPage, EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { catalogue } from '#libs/events/src/catalogue.js';

import type { CompiledDefinition } from '../../language/definition.js';
import type { BacktestRequest } from './backtest-request.js';

/** The part of the log that a backtest reads. Positions are inclusive. */
export interface LogRange {
  readonly orgId: string;
  readonly types: readonly string[];
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

/** Finds where in the log the events of a backtest are. It ends with the newest event at the moment of the request. */
export async function rangeOf(
  store: Pick<EventStore, 'head'>,
  index: EventReader,
  orgId: string,
  { by, from, to }: Pick<BacktestRequest, 'by' | 'from' | 'to'>,
  rules: readonly CompiledDefinition[],
): Promise<CountedRange> {
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
    by,
    ...(from && 'position' in from && { from: from.position }),
    ...(since && { since }),
    ...(before && { before }),
  });
  return {
    orgId,
    by,
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

/** Events of one read: with bodies of 7 KB about 1 MB, and two are in memory. */
const PAGE = 100;
/** Longest turn at the processor before everything else that waits gets one. */
const SLICE_MS = 3;
/** Once giving way took longer than this, others have work: they get twice the time that the scan had. */
const BUSY_MS = 1;

/**
 * Shows every event of the range to `look`, in the order of the log, while it holds up nobody: a page is read while the
 * one before is looked at, at most two are in memory, and after each slice the event loop has its turn.
 * @throws the reason of `signal` as soon as it aborts.
 */
export async function scan(
  store: Pick<EventStore, 'readAll'>,
  range: LogRange,
  look: (event: RecordedEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { types, upTo, from } = range;
  if (types.length === 0 || (from !== undefined && from > upTo)) return;
  const filter = { types };
  const read = (options: { readonly from?: bigint; readonly after?: bigint }): Promise<AllPage> => {
    const page = store.readAll({ ...options, filter, limit: PAGE });
    // Who awaits it hears of a failure; a page that nobody wants any more may fail unheard.
    page.catch(() => undefined);
    return page;
  };
  let started = performance.now();
  for (let next = read(from === undefined ? {} : { from }); ;) {
    const page = await unlessAborted(next, signal);
    const isLast = page.end || page.position >= upTo;
    if (!isLast) next = read({ after: page.position });
    for (const event of page.events) {
      if (event.position > upTo) return;
      if (!event.isReadable || !isWithin(range, event)) continue;
      look(event);
      if (performance.now() - started < SLICE_MS) continue;
      await giveWay(SLICE_MS, signal);
      started = performance.now();
    }
    if (isLast) return;
    await setImmediate();
    signal.throwIfAborted();
    started = performance.now();
  }
}

/** Not by `Promise.race` with one promise for the whole scan: that would keep every page. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function isWithin({ orgId, by, since, before }: LogRange, { metadata }: RecordedEvent): boolean {
  if (metadata.orgId !== orgId) return false;
  if (since === undefined && before === undefined) return true;
  const time = Date.parse(metadata[by]);
  return (since === undefined || time >= since) && (before === undefined || time < before);
}

async function giveWay(slice: number, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  await setImmediate();
  if (performance.now() - began > BUSY_MS) await setTimeout(2 * slice);
  signal.throwIfAborted();
}
