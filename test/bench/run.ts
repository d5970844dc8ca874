import { writeFile } from 'node:fs/promises';
import { arch, cpus, loadavg, platform } from 'node:os';
import { parseArgs } from 'node:util';

import type { Report } from './benchmark.js';
import { BENCHMARKS } from './benchmarks.js';

/**
 * `npm run bench -- [b1 b2 …] [--quick] [--no-peers] [--senders github,slack] [--personal] [--out file.json]`: the figures of this machine,
 * as ratios to baselines of the same run. Prints a table and writes JSON. Exits with 1 if a verify pass fails or a benchmark
 * does not end. A figure below its target is reported and does not fail: it depends on the machine.
 */
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    'no-peers': { type: 'boolean', default: false },
    senders: { type: 'string' },
    personal: { type: 'boolean', default: false },
    out: { type: 'string', default: 'bench-results.json' },
  },
});
const names = positionals.map((name) => name.toUpperCase());
const unknown = names.filter((name) => BENCHMARKS.every(({ id }) => id !== name));
if (unknown.length > 0) {
  const known = BENCHMARKS.map(({ id, title }) => `  ${id.toLowerCase()}  ${title}`);
  console.error(`There is no benchmark ${unknown.join(', ')}. There are:\n${known.join('\n')}`);
  process.exit(2);
}

const machine = { node: process.version, platform: `${platform()} ${arch()}`, cores: cpus().length };
const results: Record<string, unknown> = { at: new Date().toISOString(), ...machine, loadBefore: loadavg()[0] };
let broken = false;
for (const { id, title, run } of BENCHMARKS) {
  if (names.length > 0 && !names.includes(id)) continue;
  console.log(`\n${id}  ${title}`);
  try {
    const report = await run({
      size: options.quick ? 'quick' : 'full',
      peers: !options['no-peers'],
      personal: options.personal,
      ...(options.senders !== undefined && { senders: options.senders.split(',') }),
    });
    print(report);
    broken ||= report.faults.length > 0;
    results[id] = { ...(report.result as object), verified: report.verified, faults: report.faults };
  } catch (error) {
    broken = true;
    console.error(error);
    results[id] = { error: String(error) };
  }
  // After each: figures are kept even if a later benchmark does not end.
  await writeFile(options.out, `${JSON.stringify(results, null, 2)}\n`);
}
console.log(`\nwritten to ${options.out}`);
if (broken) {
  console.error('A verify pass failed, or a benchmark did not end: see above.');
  process.exitCode = 1;
}

function print({ rows, verified, faults }: Report): void {
  for (const { figure, value, target = '', reached } of rows) {
    const verdict = reached === undefined ? '' : reached ? 'reached' : 'NOT REACHED';
    console.log(`  ${figure.padEnd(58)} ${value.padStart(16)}  ${target.padEnd(9)} ${verdict}`.trimEnd());
  }
  console.log(`  verify ${faults.length === 0 ? 'passed' : 'FAILED'}: ${verified}`);
  for (const fault of faults) console.log(`    ${fault}`);
}
