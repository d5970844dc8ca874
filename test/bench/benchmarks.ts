import { ingest } from './b1-ingest.js';
import { endToEnd } from './b2-end-to-end.js';
import { rules } from './b3-rules.js';
import { workflows } from './b4-workflows.js';
import { replay } from './b5-replay.js';
import { growth } from './b6-growth.js';
import { start } from './b7-start.js';
import { waiting } from './b8-waiting.js';
import { eventstoredb } from './e1-eventstoredb.js';
import type { Benchmark } from './benchmark.js';

/** In the order in which they run: short ones first. */
export const BENCHMARKS: readonly Benchmark[] = [
  rules,
  ingest,
  start,
  endToEnd,
  workflows,
  eventstoredb,
  waiting,
  replay,
  growth,
];
