/**
 * A process with a runner and one view, to be killed at a crash point: `runner-process.ts <database> <position>`. Prints
 * `active` when its view is followed here, `done` when everything up to the position is handled.
 */
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';
import { PostgresCheckpoints } from '#libs/persistence/src/checkpoints.adapter.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { AdvisoryLocks } from '#libs/persistence/src/session/advisory-locks.adapter.js';
import { SessionConnection } from '#libs/persistence/src/session/session-connection.adapter.js';

const [url, position] = process.argv.slice(2) as [string, string];
const store = await PostgresEventStore.open({ connectionString: url });
const dataSource = await openDataSource({ url, poolSize: 4 });
const session = new SessionConnection(url);
const checkpoints = new PostgresCheckpoints(dataSource);
const runner = new Runner({ store, checkpoints, locks: new AdvisoryLocks(session), signals: session });

const n = (event: RecordedEvent): number => (event.data as unknown as { n: number }).n;
let told = false;
const view: Subscriber = {
  name: 'test.view',
  reads: 'all',
  writes: [],
  batchSize: 10,
  handle: async (events, context) => {
    if (!told) process.stdout.write('active\n');
    told = true;
    const tx = await context.transaction();
    await tx.query('insert into seen select unnest($1::int[]), $2', [
      events.filter(({ type }) => type === 'thing.happened').map(n),
      String(process.pid),
    ]);
  },
};
await runner.start({ subscribers: [view], tables: [] });
await runner.whenProcessed('test.view', BigInt(position), 60_000);
process.stdout.write('done\n');
await new Promise((ended) => process.stdin.once('end', ended).resume());
await runner.stop();
await session.close();
await dataSource.destroy();
await store.close();
