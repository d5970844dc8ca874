import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { fuzzApi } from './api/api-target.js';
import { targets } from './corpus.js';
import { fuzzProvider } from './provider-target.js';
import { fuzzReceiver, RECEIVER } from './receiver/receiver-target.js';
import { fuzzServer } from './server-target.js';
import type { TargetOptions, TargetResult } from './target-result.js';

/**
 * `npm run fuzz [-- --inputs 100000 --target github --target route --seed 7 --out file.json]`: gives every provider, and the
 * whole inbound route of a running server, saved requests with changes; answers what goes out with anything (`receiver`); and
 * calls every operation of the REST API with hostile values (`api`).
 * Prints a table and writes JSON; fails on a crash, a hang, a 5xx, a body that is believed although nobody signed it, an answer
 * that is believed although it broke off, fields that no schema has, something created that is not listed, and slowness: 999 of
 * 1000 inputs of a provider must end within 20 ms, and others within 1 s. Fewer than 10,000 inputs say nothing about that.
 *
 * Input n of a run has the seed of the run plus n: `--target <name> --seed <seed of the input> --inputs 1` gives it again.
 */
const all = targets();
const names = [...all.map(({ name }) => name), 'route', RECEIVER, 'api'];
const fail = (message: string): never => {
  console.error(message);
  process.exit(2);
};
const given = (() => {
  try {
    const options = {
      inputs: { type: 'string', default: '100000' },
      target: { type: 'string', multiple: true, default: names },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      out: { type: 'string', default: 'fuzz-results.json' },
    } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(`${(error as Error).message}\nOptions: --inputs <n> --target <name> --seed <n> --out <file>`);
  }
})();
const whole = (name: 'inputs' | 'seed', least: number): number => {
  const value = Number(given[name]);
  return Number.isInteger(value) && value >= least ? value : fail(`--${name} takes a whole number from ${least}.`);
};
const inputs = whole('inputs', 1);
const options: TargetOptions = {
  inputs,
  seed: whole('seed', 0),
  patienceMs: 60_000,
  ...(inputs >= 10_000 && { slowMs: 20 }),
};
for (const name of given.target)
  if (!names.includes(name)) fail(`There is no target ${name}: ${names.join(', ')} are there.`);

console.log(`${options.inputs} inputs a target, seed ${options.seed}`);
const results: TargetResult[] = [];
for (const name of names) {
  if (!given.target.includes(name)) continue;
  const result = await fuzz(name);
  results.push(result);
  report(result);
}
await writeFile(
  given.out,
  `${JSON.stringify({ seed: options.seed, at: new Date().toISOString(), results }, null, 2)}\n`,
);
const failed = results.filter(({ failures }) => failures.length > 0);
console.log(
  failed.length === 0 ? 'Nothing found.' : `Found something in ${failed.map(({ target }) => target).join(', ')}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

function fuzz(name: string): Promise<TargetResult> {
  const { slowMs, ...patient } = options;
  if (name === 'route') return fuzzServer(options);
  if (name === 'api') return fuzzApi(patient);
  return name === RECEIVER
    ? fuzzReceiver({ ...patient, ...(slowMs && { slowMs: 1_000 }) })
    : fuzzProvider(name, options);
}

function report({ target, inputs, seconds, p50Ms, p999Ms, maxMs, outcomes, failures }: TargetResult): void {
  const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
  console.log(
    `${target.padEnd(22)} ${String(inputs).padStart(8)} inputs ${seconds.toFixed(1).padStart(6)} s   p50 ${ms(p50Ms).padStart(8)}   p99.9 ${ms(p999Ms).padStart(8)}   max ${ms(maxMs).padStart(8)}   ${failures.length === 0 ? 'ok' : 'FAILED'}`,
  );
  const most = Object.entries(outcomes).sort(([, one], [, other]) => other - one);
  console.log(
    `  ${most
      .slice(0, 8)
      .map(([word, count]) => `${word} ${count}`)
      .join(', ')}`,
  );
  for (const { seed, what } of failures.slice(0, 10))
    console.log(`  ${what}\n    again: npm run fuzz -- --target ${target} --seed ${seed} --inputs 1`);
}
