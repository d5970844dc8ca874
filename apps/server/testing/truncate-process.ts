/** A process that removes what an organisation does not keep, to be killed at a crash point. */
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { truncateAll } from './truncate-all.js';

const [viewsUrl, logUrl, orgId] = process.argv.slice(2) as [string, string, string];
const database = await openDataSource({ url: viewsUrl });
const store = await PostgresEventStore.open({ connectionString: logUrl });
await truncateAll({ store, database }, orgId);
await store.close();
await database.destroy();
