import { targets } from './broken-corpus.js';
import { fuzzProvider } from './provider-target.js';
import { brokenEgress } from './receiver/broken-egress.js';
import { fuzzReceiver } from './receiver/receiver-target.js';
import type { TargetResult } from './target-result.js';

/** Fuzzes the providers that are wrong, and each failing input once more; the results go out as JSON. */
const corpus = new URL('./broken-corpus.ts', import.meta.url).href;
const options = { inputs: 800, seed: 1, patienceMs: 500 };
const AGAIN = new Set(['throws', 'hangs', 'exits']);
const results: Record<string, TargetResult> = {};
for (const { name } of targets()) {
  const given = name === 'is slow' ? { ...options, inputs: 100, slowMs: 4 } : options;
  const result = (results[name] = await fuzzProvider(name, given, corpus));
  const [first] = result.failures;
  if (first && AGAIN.has(name))
    results[`${name} again`] = await fuzzProvider(name, { ...given, seed: first.seed, inputs: 1 }, corpus);
}
// Within Jest a lost promise ends the test.
const egress = brokenEgress('loses a promise');
results['loses a promise on the way out'] = await fuzzReceiver({ inputs: 100, seed: 1, patienceMs: 5_000, egress });
egress.close();
process.stdout.write(JSON.stringify(results));
