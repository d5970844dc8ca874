import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import type { SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { PostgresCheckpoints } from '#libs/persistence/src/checkpoints.adapter.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { AdvisoryLocks } from '#libs/persistence/src/session/advisory-locks.adapter.js';
import { SessionConnection } from '#libs/persistence/src/session/session-connection.adapter.js';
import { DecideRules } from '#libs/rules/src/decisions/decide.subscriber.js';

import { openBudget } from '../../../libs/event-index/testing/open-budget.js';
import { noWork } from '../../../libs/persistence/testing/no-work.js';

/** One process that decides, as the server does, and nothing else: `rules-worker.ts <url> <position>`. */
const [url = '', upTo = '0'] = process.argv.slice(2);
const database = await openDataSource({ url, entities: [] });
const store = await PostgresEventStore.open({ connectionString: url });
const session = new SessionConnection(url);
const clock = new SystemClock();
let began = 0;
let decided = 0;

class Timed extends DecideRules {
  override async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    if (began === 0 && events.some(({ type }) => type === 'git.push')) began = Date.now();
    await super.handle(events, context);
    decided += events.filter(({ type }) => type === 'git.push').length;
  }
}

const runner = new Runner({
  store,
  checkpoints: new PostgresCheckpoints(database),
  locks: new AdvisoryLocks(session),
  signals: session,
  clock,
});
await runner.start({ subscribers: [new Timed(store, clock, noWork, openBudget(store))], tables: [] });
await runner.whenProcessed(followers.decideRules, BigInt(upTo), 600_000);
const ended = Date.now();
const { rss } = process.memoryUsage();
console.log(JSON.stringify({ began, ended, decided, rssMb: rss / 2 ** 20 }));
await runner.stop();
await session.close();
await store.close();
await database.destroy();
