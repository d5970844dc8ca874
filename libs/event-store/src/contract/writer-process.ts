import type { EventStore } from '../event-store.js';
import { anEvent } from './given.js';

/**
 * The program behind the tests with several processes: opens the log by `openStore(argument)` of a module, and lets a
 * number of writers each append to a stream of its own, four events at a time. Prints the id of every event that was
 * answered, a line each. Arguments: module, argument, prefix, writers, events of each writer.
 */
const [module, argument, prefix, writers, count] = process.argv.slice(2) as [string, string, string, string, string];
const { openStore } = (await import(module)) as { openStore(argument: string): Promise<EventStore> };
const store = await openStore(argument);

async function write(stream: string): Promise<void> {
  for (let n = 0; n < Number(count); n += 4) {
    const types = ['writer.first', 'writer.second', 'writer.third', 'writer.fourth'];
    const events = types.map((type) => anEvent({ type }));
    await store.append(stream, events, n === 0 ? 'no-stream' : BigInt(n - 1));
    process.stdout.write(events.map(({ id }) => `${id}\n`).join(''));
  }
}

await Promise.all(Array.from({ length: Number(writers) }, (_, n) => write(`${prefix}-${n}`)));
await store.close();
