// `npm test`: installs if needed, then lint, then every spec. The last line is the sum alone: `N passed, N failed`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { requireDependencies, requireNode, root } from '../apps/server/bin/installed.mjs';

requireNode();
requireDependencies({ development: true });
// e2e specs run the built program, in processes of its own.
const { build } = await import('../apps/server/bin/build.mjs');
await build();

const LINT = ['lint:types', 'lint:code', 'lint:imports', 'lint:format'];
const PROJECTS = ['unit', 'int', 'e2e'];
/** A run that does not end (a handle left open) is a failed one. */
const LONGEST_RUN_MS = 15 * 60_000;

const scratch = mkdtempSync(join(tmpdir(), 'millrace-test-'));
const began = Date.now();
let passed = 0;
let failed = 0;

const say = (text) => console.log(`\n── ${text} (${Math.round((Date.now() - began) / 1000)} s)`);
const run = (command, args, env) =>
  spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    timeout: LONGEST_RUN_MS,
  }).status;

for (const script of LINT) {
  say(script);
  if (run('npm', ['run', '--silent', script]) === 0) passed++;
  else failed++;
}

for (const project of PROJECTS) {
  say(`${project} specs`);
  const report = join(scratch, `${project}.json`);
  const status = run(
    process.execPath,
    [
      join('node_modules', 'jest', 'bin', 'jest.js'),
      '--selectProjects',
      project,
      '--passWithNoTests',
      '--json',
      `--outputFile=${report}`,
      ...process.argv.slice(2),
    ],
    { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`, FORCE_COLOR: '0' },
  );
  const counts = countsOf(report);
  passed += counts.passed;
  // A run that failed without a failed test (a file that does not load, a handle left open) is a failure all the same.
  failed += counts.failed === 0 && status !== 0 ? 1 : counts.failed;
}

rmSync(scratch, { recursive: true, force: true });
say(failed === 0 ? 'all passed' : 'FAILED');
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function countsOf(report) {
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(readFileSync(report, 'utf8'));
    return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
  } catch {
    // Jest did not get as far as its report; its status says so.
    return { passed: 0, failed: 0 };
  }
}
