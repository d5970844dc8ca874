import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { ReplayView } from '#libs/audit/src/replay/replay.view.js';

import { auditor, ReplayedLog } from '../../libs/audit/testing/replayed-log.js';
import { BenchPostgres } from './measure/bench-postgres.js';

/**
 * Replays of a log in PostgreSQL that select nothing: what reading costs. Events have some 600 bytes. Verified: every event
 * was looked at.
 *
 *   node test/tool.mjs test/bench/replay.ts [events]
 */
const count = Number(process.argv[2] ?? 200_000);
const postgres = await BenchPostgres.start();
const url = await postgres.createDatabase();
const store = await PostgresEventStore.open({ connectionString: url });
const dataSource = await openDataSource({ url, entities: [ReplayView] });
try {
  const { orgId } = auditor;
  const data = { branch: 'main', text: 'x'.repeat(300) };
  for (let n = 0; n < count; n += 500) {
    const events = Array.from({ length: 500 }, (_, index) =>
      newEvent(
        { type: 'git.push', data: { ...data, n: n + index } },
        { id: uuid7(), orgId, actor: 'x', now: new Date() },
      ),
    );
    await store.append(`many-${n}`, events, 'no-stream');
  }
  const log = new ReplayedLog(store, dataSource);
  await log.follow();
  const rows = [];
  for (const [name, filter] of [
    ['another source', { type: 'git.push', source: 'gitlab' }],
    ['JMESPath', { type: 'git.push', expression: "data.branch == 'topic'" }],
    ['another type', { type: 'pr.*' }],
  ] as const) {
    const { id } = await log.controller.create(auditor, { mode: 'inspect', filter });
    const [began, used] = [performance.now(), process.cpuUsage()];
    let peak = 0;
    const worker = log.worker();
    for (let again: number | undefined = 0; again !== undefined;) {
      const work = { queue: worker.queue, key: id, dueAt: new Date(), payload: {}, position: 0n, claims: 1 };
      again = (await worker.run(work, new AbortController().signal)).againAfterMs;
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(used);
    await log.follow();
    const { looked } = await log.controller.view(auditor, id);
    const cpu = (user + system) / 1e6;
    rows.push({
      selects: name,
      looked,
      'per second': Math.round(looked / seconds),
      'per processor second': Math.round(looked / cpu),
      'RSS MB': Math.round(peak / 1e6),
      verified: looked === (filter.type === 'git.push' ? count : 0),
    });
  }
  console.table(rows);
} finally {
  await dataSource.destroy();
  await store.close();
  await postgres.stop();
}
