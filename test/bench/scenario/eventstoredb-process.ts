import { createInterface } from 'node:readline';

import { EventStoreDbDouble } from '#libs/event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';

/**
 * The double of EventStoreDB in its own process. Prints how to connect; each line of input is answered by what was appended so
 * far. Ends with its input.
 */
const double = await EventStoreDbDouble.start();
console.log(JSON.stringify({ connectionString: double.connectionString }));
for await (const _line of createInterface({ input: process.stdin })) {
  const events = double.log.all.filter(({ stream }) => !stream.startsWith('$'));
  // All events of one append share its position.
  const appends = new Map<bigint, string>();
  for (const { transaction, stream } of events) appends.set(transaction, stream.slice(0, stream.indexOf('-')));
  const byStream: Record<string, number> = {};
  for (const kind of appends.values()) byStream[kind] = (byStream[kind] ?? 0) + 1;
  console.log(JSON.stringify({ events: events.length, appends: appends.size, byStream }));
}
process.exit();
