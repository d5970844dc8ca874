import type { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { AppendResult, EventStore, EventToAppend, ExpectedRevision } from '#libs/event-store/src/event-store.js';
import { Transient } from '#libs/kernel/src/errors.js';

/** What happens to an append: it works, the process dies before or after it, or its outcome is never heard. */
export type Fault = 'none' | 'before' | 'after' | 'unknown';

/** The process is gone: nothing that it does later counts. */
export class Killed extends Error {}

/** A log in memory, at whose appends a process dies by plan. */
export function crashingStore(memory: MemoryEventStore, fault: () => Fault): EventStore {
  return new Proxy(memory, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key !== 'append') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      return async (
        stream: string,
        events: readonly EventToAppend[],
        expected: ExpectedRevision,
      ): Promise<AppendResult> => {
        const what = fault();
        if (what === 'before') throw new Killed();
        const result = await target.append(stream, events, expected);
        if (what === 'after') throw new Killed();
        if (what === 'unknown') throw new Transient('log.unavailable', 'The connection was lost.');
        return result;
      };
    },
  });
}
