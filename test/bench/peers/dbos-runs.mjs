/**
 * Three-step DBOS workflows in their own process: three recorded functions that compute the same as the `transform` steps of
 * Millrace or, with the URL of a receiver, three fetches, each a recorded step.
 *
 *   node dbos-runs.mjs '{"folder":"…","databaseUrl":"…","receiver":"http://…"}'
 *
 * Each input line `{ callers, count }` starts a measurement. Each output line has seconds, correct outputs and CPU time.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const { folder, databaseUrl, receiver } = JSON.parse(process.argv[2]);
const { DBOS } = createRequire(join(folder, 'package.json'))('@dbos-inc/dbos-sdk');

DBOS.setConfig({ name: 'bench', systemDatabaseUrl: databaseUrl, logLevel: 'error' });

const computing = DBOS.registerWorkflow(
  async (key) => {
    const one = await DBOS.runStep(async () => ({ key, size: key.length }), { name: 'one' });
    const two = await DBOS.runStep(async () => ['runs', one.key].join('/'), { name: 'two' });
    return DBOS.runStep(async () => ({ name: two, size: one.size }), { name: 'three' });
  },
  { name: 'computing' },
);

async function call(step, key) {
  const answer = await fetch(`${receiver}/${step}/${key}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key }),
  });
  return { status: answer.status, body: await answer.json() };
}
const calling = DBOS.registerWorkflow(
  async (key) => {
    let last;
    for (const step of ['one', 'two', 'three']) last = await DBOS.runStep(() => call(step, key), { name: step });
    return { name: `runs/${key}`, size: last.status };
  },
  { name: 'calling' },
);

await DBOS.launch();
console.log('{}');
for await (const line of createInterface({ input: process.stdin })) {
  const { callers, count } = JSON.parse(line);
  const before = process.cpuUsage();
  const start = performance.now();
  let begun = 0;
  let right = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (begun < count) {
        const key = `dbos-${start.toFixed(0)}-${begun++}`;
        const { name, size } = receiver ? await calling(key) : await computing(key);
        if (name === `runs/${key}` && size === (receiver ? 200 : key.length)) right++;
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ seconds, right, processorSeconds: (user + system) / 1e6 }));
}
await DBOS.shutdown();
process.exit();
