import { relative } from 'node:path';

import Sequencer from '@jest/test-sequencer';

/** Take minutes; a clean checkout does not know it, and a worker that begins one last keeps everybody waiting. */
const LONGEST = ['test/bench/bench.e2e.spec.ts', 'test/crash/crash-points.e2e.spec.ts', 'test/crash/chaos.e2e.spec.ts'];

export default class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path, context }) => LONGEST.indexOf(relative(context.config.rootDir, path).replaceAll('\\', '/'));
    const [known, others] = [tests.filter((test) => rank(test) >= 0), tests.filter((test) => rank(test) < 0)];
    return [...known.sort((one, other) => rank(one) - rank(other)), ...super.sort(others)];
  }
}
