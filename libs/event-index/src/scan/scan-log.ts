import { setImmediate, setTimeout } from 'node:timers/promises';

import type { AllPage, EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';

import type { LogRange } from './log-range.js';

/** Events of one read: with bodies of 7 KB about 1 MB, and two are in memory. */
const PAGE = 100;
/** Longest turn at the processor before everything else that waits gets one. */
const SLICE_MS = 3;
/** Once giving way took longer than this, others have work: they get twice the time that the scan had. */
const BUSY_MS = 1;

export interface ScanOptions {
  /** Begin after this position in place of `from`. */
  readonly after?: bigint | undefined;
  /** Most events of one read. */
  readonly page?: number;
  /**
   * Called after each page, with how far the log was looked through and how many events were there. `false` ends the scan.
   */
  readonly paged?: (position: bigint, looked: number) => Promise<boolean>;
}

/**
 * Shows every event of the range to `look`, in the order of the log, while it holds up nobody: a page is read while the
 * one before is looked at, at most two are in memory, and after each slice the event loop has its turn. Events without
 * readable metadata are left out; their data may still be unreadable.
 * @returns whether the end of the range was reached.
 * @throws the reason of `signal` as soon as it aborts.
 */
export async function scan(
  store: Pick<EventStore, 'readAll'>,
  range: LogRange,
  look: (event: RecordedEvent) => void,
  signal: AbortSignal,
  { after, page: limit = PAGE, paged }: ScanOptions = {},
): Promise<boolean> {
  const { types, upTo } = range;
  const from = after === undefined ? range.from : undefined;
  if (types?.length === 0 || (from !== undefined && from > upTo) || (after !== undefined && after >= upTo)) return true;
  const read = (options: { readonly from?: bigint; readonly after?: bigint }): Promise<AllPage> => {
    const page = store.readAll({ ...options, ...(types && { filter: { types } }), limit });
    // Who awaits it hears of a failure; a page that nobody wants any more may fail unheard.
    page.catch(() => undefined);
    return page;
  };
  let started = performance.now();
  const start = after === undefined ? (from === undefined ? {} : { from }) : { after };
  for (let next = read(start); ;) {
    const page = await unlessAborted(next, signal);
    const isLast = page.end || page.position >= upTo;
    if (!isLast) next = read({ after: page.position });
    let looked = 0;
    for (const event of page.events) {
      if (event.position > upTo) break;
      looked++;
      if (isWithin(range, event)) look(event);
      if (performance.now() - started < SLICE_MS) continue;
      await giveWay(SLICE_MS, signal);
      started = performance.now();
    }
    if (paged && !(await paged(page.position < upTo ? page.position : upTo, looked))) return isLast;
    if (isLast) return true;
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

function isWithin({ orgId, by, since, before }: LogRange, event: RecordedEvent): boolean {
  if (!event.hasMetadata || event.metadata.orgId !== orgId) return false;
  if (since === undefined && before === undefined) return true;
  const { timestamp, receivedAt = timestamp } = event.metadata;
  const time = Date.parse(by === 'timestamp' ? timestamp : receivedAt);
  return (since === undefined || time >= since) && (before === undefined || time < before);
}

async function giveWay(slice: number, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  await setImmediate();
  if (performance.now() - began > BUSY_MS) await setTimeout(2 * slice);
  signal.throwIfAborted();
}
