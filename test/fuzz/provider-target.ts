import { Worker } from 'node:worker_threads';

import { type Failure, type ProviderWork, resultOf, type TargetOptions, type TargetResult } from './target-result.js';

interface Done {
  readonly outcomes: Record<string, number>;
  readonly failures: readonly Failure[];
  readonly times: Float64Array;
}

/** While the thread loads its modules. */
const BEFORE_THE_FIRST = -1;
const CORPUS = new URL('./corpus.ts', import.meta.url).href;

/** Of the whole process: the thread that waits for the other uses none. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * `verify`, `normalise` and `respond` of one provider over changed requests. Ends early at a crash or a hang. An input hangs
 * that takes more than `patienceMs` of processor time, which other work on the machine does not change. One that waits for
 * ever ends the thread: nothing else keeps it.
 */
export async function fuzzProvider(target: string, options: TargetOptions, corpus = CORPUS): Promise<TargetResult> {
  const began = performance.now();
  const at = new Int32Array(new SharedArrayBuffer(4)).fill(BEFORE_THE_FIRST);
  const { inputs, seed, patienceMs } = options;
  const workerData: ProviderWork = { corpus, target, seed, inputs, first: 0, at };
  const worker = new Worker(new URL('./provider-worker.ts', import.meta.url), { workerData });
  let timer: NodeJS.Timeout | undefined;
  const broken = (what: string): Done => ({
    outcomes: {},
    failures: [{ seed: seed + Math.max(0, Atomics.load(at, 0)), what }],
    times: new Float64Array(0),
  });
  try {
    const { outcomes, failures, times } = await new Promise<Done>((resolve) => {
      let input = BEFORE_THE_FIRST;
      let since = processorMs();
      timer = setInterval(() => {
        const now = Atomics.load(at, 0);
        if (now !== input || now === BEFORE_THE_FIRST) [input, since] = [now, processorMs()];
        else if (processorMs() - since > patienceMs) resolve(broken(`hang: no end after ${patienceMs} ms`));
      }, 50);
      worker.once('message', resolve);
      worker.once('error', (error) => resolve(broken(`crash: ${error.message}`)));
      worker.once('exit', (code) => resolve(broken(`crash: the thread ended with ${code}`)));
    });
    return resultOf(target, options, (performance.now() - began) / 1000, outcomes, failures, times);
  } finally {
    clearInterval(timer);
    await worker.terminate();
  }
}
