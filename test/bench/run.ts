import { writeFile } from 'node:fs/promises';

import { measureIngest } from './b1-ingest.js';
import { measureRules } from './b3-rules.js';
import { measureStart } from './b7-start.js';
import { measureRulesMemory } from './rules-memory.js';
import { measureThroughput } from './rules-throughput.js';
import { SENDERS } from './senders.js';

/**
 * `npm run bench [-- B1 B3 B7] [--senders github,slack] [--quick] [--out file.json]`: the figures of this machine as ratios to a baseline of the
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
if (wanted('B3')) {
  const b3 = await measureRules(quick ? 3 : 10, quick ? 60 : 200);
  const throughput = await measureThroughput(quick ? 2_000 : 20_000, [10, 1_000, 10_000]);
  const memory = await measureRulesMemory(quick ? 2_000 : 10_000, 10);
  results['B3'] = { ...b3, throughput, memory };
  const row = (figure: string, value: string, target = '', reached = true) =>
    rows.push({ id: 'B3', figure, value, target, reached });
  row(`${b3.rules} rules, ${b3.ofType} of the type, ms`, b3.decideMs.toFixed(3), '≤ 0.5', b3.decideMs <= 0.5);
  row('over jmespath.search, the same rules', b3.overJmespath.toFixed(0), '≥ 100', b3.overJmespath >= 100);
  row(`over jmespath.search, the ${b3.ofType} of the type`, b3.overJmespathOfType.toFixed(0));
  row(
    `over json-rules-engine, those ${b3.ofType}`,
    b3.overJsonRulesEngine.toFixed(0),
    '≥ 20',
    b3.overJsonRulesEngine >= 20,
  );
  row('with the verdicts written out, ms', b3.recordedMs.toFixed(3));
  row(`${b3.ofType} rules without an equality, ms`, b3.unindexedMs.toFixed(3), '≤ 0.5', b3.unindexedMs <= 0.5);
  row('one of the rules saved, ms', b3.saveMs.toFixed(3), '< 1', b3.saveMs < 1);
  row('the next event after it, ms', b3.afterSaveMs.toFixed(3), '≤ 0.5', b3.afterSaveMs <= 0.5);
  row('verdicts of one event, bytes', b3.bytes.toFixed(0));
  row('verify: other rules found', String(b3.disagreements), '0', b3.disagreements === 0);
  for (const one of throughput) {
    const what = `${one.rules} rules, ${one.processes} process${one.processes > 1 ? 'es' : ''}`;
    row(`events/s, ${what}`, one.perSecond.toFixed(0));
    row(`bytes per event, per pair`, `${one.bytesPerEvent.toFixed(0)}, ${one.bytesPerPair.toFixed(1)}`);
    row(`verify: events with other decisions`, String(one.wrong), '0', one.wrong === 0);
  }
  const { restartedWithEventMb: steady, withEventsMb: busy } = memory;
  row(`${memory.rules} rules and an event of 1 MiB, RSS in MB`, steady.toFixed(0), '≤ 250', steady <= 250);
  row('the same right after all were saved, ten events', busy.toFixed(0), '≤ 250', busy <= 250);
  row('verify: large events undecided', String(memory.missing), '0', memory.missing === 0);
  broken ||= b3.disagreements > 0 || memory.missing > 0 || throughput.some(({ wrong }) => wrong > 0);
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
    `${row.id}  ${row.figure.padEnd(44)} ${row.value.padStart(14)}  ${row.target.padEnd(10)} ${row.target === '' ? '' : row.reached ? 'reached' : 'NOT REACHED'}`,
  );
await writeFile(out, `${JSON.stringify(results, null, 2)}\n`);
console.log(`\nwritten to ${out}`);
if (broken) {
  console.error('The verify pass failed: the log does not hold what it should.');
  process.exitCode = 1;
}
