import { writeFile } from 'node:fs/promises';

import { chaos } from './chaos.js';

/** `npm run chaos [-- --rounds 100 --seed 7]`: kills the server under load and proves that nothing was lost or done twice. */
const option = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const result = await chaos({
  rounds: option('rounds', 100),
  lifeMs: option('life', 3000),
  lanes: option('lanes', 8),
  seed: option('seed', Date.now() % 1_000_000),
  report: (line) => process.stderr.write(`${line}\n`),
});
await writeFile('chaos-results.json', `${JSON.stringify(result, null, 2)}\n`);
console.log(`kills                   ${result.kills}`);
console.log(`acknowledged events     ${result.acknowledged}`);
console.log(`requests sent again     ${result.repeatedRequests}`);
console.log(`slowest recovery        ${result.slowestRecoveryMs.toFixed(0)} ms`);
console.log(`faults                  ${result.faults.length}`);
for (const fault of result.faults.slice(0, 50)) console.error(`  ${fault}`);
if (result.faults.length > 0) process.exitCode = 1;
