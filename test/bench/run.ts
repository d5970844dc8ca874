import { writeFile } from 'node:fs/promises';

import { measureIngest } from './b1-ingest.js';
import { measureStart } from './b7-start.js';
import { SENDERS } from './senders.js';

/**
 * `npm run bench [-- B1 B7] [--senders github,slack] [--quick] [--out file.json]`: the figures of this machine as ratios to a baseline of the
 * same run. Prints a table and writes JSON. Exits with 1 if a verify pass fails; a figure below its target is said, not
 * failed, since it depends on the machine.
 */
const args = process.argv.slice(2);
const quick = args.includes('--quick');
const outAt = args.indexOf('--out');
const out = outAt < 0 ? 'bench-results.json' : (args[outAt + 1] ?? 'bench-results.json');
const chosen = args.filter((arg, index) => /^B\d$/.test(arg) && (outAt < 0 || index !== outAt + 1));
const wanted = (id: string) => chosen.length === 0 || chosen.includes(id);

const sendersAt = args.indexOf('--senders');
const senders = sendersAt < 0 ? SENDERS : SENDERS.filter((name) => args[sendersAt + 1]?.split(',').includes(name));

const results: Record<string, unknown> = { node: process.version, at: new Date().toISOString() };
const rows: { id: string; figure: string; value: string; target: string; reached: boolean }[] = [];
let broken = false;

for (const sender of wanted('B1') ? senders : []) {
  const b1 = await measureIngest(quick ? 1 : 5, quick ? 2 : 5, sender);
  results[`B1 ${sender}`] = b1;
  rows.push(
    {
      id: 'B1',
      figure: `ingest of ${sender}, ratio to bare Fastify`,
      value: b1.ratio.toFixed(2),
      target: '≥ 0.60',
      reached: b1.ratio >= 0.6,
    },
    { id: 'B1', figure: 'ingest, events a second', value: b1.perSecond.toFixed(0), target: '', reached: true },
    {
      id: 'B1',
      figure: 'p99 at 70 % load, ms',
      value: b1.p99At70PercentMs.toFixed(1),
      target: '≤ 50',
      reached: b1.p99At70PercentMs <= 50,
    },
    {
      id: 'B1',
      figure: 'verify: acknowledged and missing',
      value: `${b1.acknowledged} / ${b1.missing}`,
      target: '0 missing',
      reached: b1.missing === 0,
    },
    {
      id: 'B1',
      figure: 'verify: events twice in the log',
      value: String(b1.twice),
      target: '0',
      reached: b1.twice === 0,
    },
  );
  broken ||= b1.missing > 0 || b1.twice > 0;
}
if (wanted('B7')) {
  const b7 = await measureStart(quick ? 5_000 : 100_000, quick ? 2 : 5);
  results['B7'] = b7;
  rows.push(
    {
      id: 'B7',
      figure: `start with ${b7.events} events, ms`,
      value: b7.readyMs.toFixed(0),
      target: '≤ 2000',
      reached: b7.readyMs <= 2000,
    },
    { id: 'B7', figure: 'resident memory, MB', value: b7.rssMb.toFixed(0), target: '≤ 250', reached: b7.rssMb <= 250 },
  );
}

for (const row of rows)
  console.log(
    `${row.id}  ${row.figure.padEnd(36)} ${row.value.padStart(14)}  ${row.target.padEnd(10)} ${row.target === '' ? '' : row.reached ? 'reached' : 'NOT REACHED'}`,
  );
await writeFile(out, `${JSON.stringify(results, null, 2)}\n`);
console.log(`\nwritten to ${out}`);
if (broken) {
  console.error('The verify pass failed: the log does not hold what was acknowledged.');
  process.exitCode = 1;
}
