import { Transient } from '#libs/kernel/src/errors.js';

import type { SubscribeOptions, SubscriptionItem } from '../../event-store.js';
import type { SharedPages } from '../shared-pages.js';
import type { LogPages } from './log-pages.adapter.js';
import { pauseAfter } from './pause.js';
import type { Tail } from './tail.adapter.js';

/**
 * One consumer's way through the log. While it is behind what the tail's buffer holds it reads filtered pages; then it
 * takes from the buffer. It asks for nothing before its consumer does, so a slow one holds up nobody and fills nothing:
 * when the buffer has moved on without it, it reads pages again.
 */
export async function* subscription(
  options: SubscribeOptions,
  { tail, pages, shared, end }: { tail: Tail; pages: LogPages; shared: SharedPages; end: () => Promise<bigint> },
): AsyncGenerator<SubscriptionItem> {
  const { from, filter, batchSize = 500, signal } = options;
  const isOver = (): boolean => signal.aborted || tail.isClosed;
  const matches = pages.matcher(filter);
  let position: bigint | undefined = from === 'start' ? 0n : undefined;
  let losses = tail.losses;
  let failures = 0;
  let announced = false;
  const watcher = tail.news.watch();
  const reader = shared.reader(options);
  const interrupt = (): void => watcher.interrupt();
  signal.addEventListener('abort', interrupt);
  try {
    while (!isOver()) {
      const { version } = tail.news;
      if (losses !== tail.losses) {
        losses = tail.losses;
        announced = false;
        yield { kind: 'disconnected', reason: tail.lossReason };
        continue;
      }
      if (position !== undefined && tail.buffer.covers(position)) {
        reader.leave();
        const page = tail.buffer.after(position, matches, batchSize);
        const isAhead = page.position > position;
        position = page.position;
        if (page.events.length > 0) yield { kind: 'events', ...page };
        else if (isAhead) yield { kind: 'checkpoint', position };
        else if (tail.state === 'live' && !announced) {
          announced = true;
          yield { kind: 'caught-up', position };
        } else await watcher.news(version);
        continue;
      }
      announced = false;
      try {
        if (position === undefined) {
          const last = await end();
          position = from === 'end' || (from as bigint) > last ? last : (from as bigint);
          continue;
        }
        const page = await reader.page(position);
        failures = 0;
        const isAhead = page.position > position;
        position = page.position;
        if (page.events.length > 0) yield { kind: 'events', ...page };
        else if (isAhead) yield { kind: 'checkpoint', position };
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        if (isOver()) return;
        // The tail reports a lost connection; if it has none, the consumer hears of this failure once.
        if (failures++ === 0 && losses === tail.losses) yield { kind: 'disconnected', reason: error.message };
        await pause(pauseAfter(failures), signal);
      }
    }
  } finally {
    signal.removeEventListener('abort', interrupt);
    watcher.leave();
    reader.leave();
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
