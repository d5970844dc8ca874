/**
 * A process that gives things a name, to be killed at a crash point: `naming-process.ts <database> <name> <id>…`. All at
 * once; prints the ids that have it then.
 */
import { PostgresEventStore } from '../src/adapters/postgres/postgres-event-store.adapter.js';
import { rename } from './named-thing.js';

const [url, name, ...ids] = process.argv.slice(2) as [string, string, ...string[]];
const store = await PostgresEventStore.open({ connectionString: url });
const has = await Promise.all(ids.map((id) => rename(store, id, Number(name))));
process.stdout.write(JSON.stringify(ids.filter((_, n) => has[n])));
await store.close();
