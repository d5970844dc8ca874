/** A process that claims work and never ends it, to be killed: prints each key that it has claimed. */
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import { Workers } from '#libs/persistence/src/claims/workers.adapter.js';

const [url, queueName] = process.argv.slice(2) as [string, string];
const dataSource = await openDataSource({ url });
const queue = new PostgresWorkQueue(dataSource);
const run = ({ key }: { key: string }): Promise<never> => {
  process.stdout.write(`${key}\n`);
  return new Promise<never>(() => undefined);
};
const worker = { queue: queueName, concurrency: 10, writes: [], run };
await new Workers({ dataSource, queue, workers: [worker] }).start();
