// `npm test`: installs if needed, then lint, then every spec. The last line is the sum alone: `N passed, N failed`.
// `npm test -- --also-node 24` runs the unit specs and one flow with that release of Node too. Other arguments go to jest.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';

import { requireDependencies, requireNode, root } from '../apps/server/bin/installed.mjs';

requireNode();
requireDependencies({ development: true });
// e2e specs run the built program, in processes of its own.
const { build } = await import('../apps/server/bin/build.mjs');
await build();

/** Each lane at the same time as the other: none of these programs uses more than one core. */
const LINT = [['lint:code'], ['lint:types', 'lint:imports', 'lint:format']];
const PROJECTS = ['unit', 'int', 'e2e'];
/** On another Node, this flow: every provider, from a signed request to its delivery. */
const ONE_FLOW = 'test/flow/demo/demo.e2e.spec.ts';
/** Ends a run that hangs (a handle left open). A busy machine may take several times as long as a quiet one. */
const LONGEST_RUN_MS = 60 * 60_000;

const jestArgs = process.argv.slice(2);
const at = jestArgs.indexOf('--also-node');
const otherNode = at < 0 ? undefined : jestArgs.splice(at, 2)[1];

const scratch = mkdtempSync(join(tmpdir(), 'millrace-test-'));
const began = Date.now();
/** Tests and milliseconds by stage of the product. */
const stages = new Map();
let passed = 0;
let failed = 0;

await Promise.all(LINT.map(lint));
for (const project of PROJECTS) await specs(project, process.execPath, project, jestArgs);
if (otherNode !== undefined) await onOtherNode(otherNode);
rmSync(scratch, { recursive: true, force: true });

say('by stage');
for (const [stage, { tests, failures, ms }] of [...stages].sort())
  console.log(
    `${stage.padEnd(16)}${String(tests).padStart(6)} tests ${seconds(ms).padStart(8)}${failures > 0 ? `   ${failures} FAILED` : ''}`,
  );
say(failed === 0 ? 'all passed' : 'FAILED');
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function say(text) {
  console.log(`\n── ${text} (after ${seconds(Date.now() - began)})`);
}

async function lint(scripts) {
  for (const script of scripts) {
    const start = Date.now();
    const { status, output } = await run('npm', ['run', '--silent', script], 'pipe');
    if (status === 0) passed++;
    else failed++;
    console.log(`${script.padEnd(16)}${status === 0 ? 'passed' : 'FAILED'} ${seconds(Date.now() - start).padStart(8)}`);
    if (status !== 0) console.log(output);
  }
}

/** One run of jest, with the Node of `node`. */
async function specs(title, node, project, args) {
  say(`${title} specs`);
  const report = join(scratch, `${title}.json`);
  const jest = join('node_modules', 'jest', 'bin', 'jest.js');
  const { status } = await run(
    node,
    [jest, '--selectProjects', project, '--passWithNoTests', '--json', `--outputFile=${report}`, ...args],
    'inherit',
  );
  const counts = countsOf(report);
  passed += counts.passed;
  // A run that failed without a failed test (a file that does not load, a handle left open) is a failure all the same.
  failed += counts.failed === 0 && status !== 0 ? 1 : counts.failed;
}

/** Installs that Node beside the project, not into it. One that cannot be had is a failure: nothing was tested. */
async function onOtherNode(version) {
  say(`Node ${version}`);
  const folder = join(scratch, 'node');
  const source = `node-${process.platform}-${process.arch}@${version}`;
  const { output } = await run(
    'npm',
    ['install', '--no-save', '--no-audit', '--no-fund', `--prefix=${folder}`, source],
    'pipe',
  );
  const node = join(folder, 'node_modules', source.slice(0, source.lastIndexOf('@')), 'bin', 'node');
  if (!existsSync(node)) {
    failed++;
    return console.log(`Node ${version} could not be installed, so nothing was tested with it.\n${output}`);
  }
  await specs(`unit, Node ${version},`, node, 'unit', jestArgs);
  await specs(`one flow, Node ${version},`, node, 'e2e', [ONE_FLOW]);
}

function run(command, args, output) {
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', output, output],
    env: {
      ...process.env,
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
      FORCE_COLOR: '0',
    },
    timeout: LONGEST_RUN_MS,
  });
  const texts = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => texts.push(text));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ status: 1, output: String(error) }));
    child.on('close', (status) => resolve({ status, output: Buffer.concat(texts).toString() }));
  });
}

function countsOf(report) {
  let results;
  try {
    results = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    // Jest did not get as far as its report; its status says so.
    return { passed: 0, failed: 0 };
  }
  for (const { name, startTime, endTime, status, assertionResults } of results.testResults) {
    const [top, stage] = relative(root, name).split(sep);
    const key = top === 'libs' ? stage : `${top}/${stage}`;
    const { tests, failures, ms } = stages.get(key) ?? { tests: 0, failures: 0, ms: 0 };
    const wrong = assertionResults.filter((one) => one.status === 'failed').length;
    stages.set(key, {
      tests: tests + assertionResults.filter((one) => one.status === 'passed').length,
      failures: failures + (wrong === 0 && status === 'failed' ? 1 : wrong),
      ms: ms + endTime - startTime,
    });
  }
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = results;
  return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
