import { parentPort, workerData } from 'node:worker_threads';

import type { Target } from './corpus.js';
import { tryProvider } from './provider-input.js';
import type { Failure, ProviderWork } from './target-result.js';

/** Runs the inputs of one provider in a thread of its own, so that one that never comes back can be told from outside. */
const { corpus, target: name, seed, inputs, first, at } = workerData as ProviderWork;
const { targets } = (await import(corpus)) as { targets(): readonly Target[] };
const target = targets().find((one) => one.name === name)!;
const outcomes: Record<string, number> = {};
const failures: Failure[] = [];
const times = new Float64Array(inputs);

for (let input = first; input < inputs && failures.length < 20; input++) {
  Atomics.store(at, 0, input);
  const began = performance.now();
  try {
    const outcome = await tryProvider(target, seed + input);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  } catch (error) {
    failures.push({
      seed: seed + input,
      what: (error as Error).stack?.split('\n').slice(0, 3).join(' ') ?? String(error),
    });
  }
  times[input] = performance.now() - began;
  // A promise that nobody waits for is told of now, while it is known whose it was.
  await new Promise(setImmediate);
}
parentPort!.postMessage({ outcomes, failures, times });
