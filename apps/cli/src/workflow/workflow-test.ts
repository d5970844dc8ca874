import { watch } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';

import { runTests, type StepLibrary } from '#libs/workflows/src/trial/run-tests.js';

import { UnreadableFile } from '../rule/rule-file.js';
import type { Shell } from '../shell.js';
import { libraryOf } from './step-library.js';
import { foldersOf, testPairs, type TestPair, textsOf } from './test-files.js';
import { type FileReport, junitOf, reportTests } from './test-report.js';

export interface TestOptions {
  readonly watch?: true;
  readonly junit?: string;
  readonly plugins?: string;
}

/** Runs tests of workflows in virtual time, without a server; the exit code: 1 if one failed. */
export async function testWorkflows(
  shell: Shell,
  given: readonly string[],
  options: TestOptions,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const library = await libraryOf(options.plugins ?? env['MILLRACE_PLUGINS'] ?? '');
  const paths = given.length > 0 ? given : [await defaultPath()];
  let code = await testOnce(shell, paths, options, library);
  while (options.watch && !shell.signal.aborted) {
    const pairs = await testPairs(paths).catch(() => []);
    const folders = pairs.length > 0 ? foldersOf(pairs) : ['.'];
    await nextChange(folders, shell.signal, () => shell.note('Waiting for a change. Ctrl-C ends.'));
    if (!shell.signal.aborted) code = await testOnce(shell, paths, options, library).catch(failureNoted(shell));
  }
  return code;
}

/** While files are being edited, one of them may be gone for a moment. */
const failureNoted =
  (shell: Shell) =>
  (error: unknown): number => {
    if (!(error instanceof UnreadableFile)) throw error;
    shell.note(error.message);
    return 2;
  };

async function testOnce(
  shell: Shell,
  paths: readonly string[],
  { junit }: TestOptions,
  library: StepLibrary,
): Promise<number> {
  const reports: FileReport[] = [];
  for (const pair of await testPairs(paths)) reports.push(await reportOf(pair, library));
  if (junit !== undefined) await writeFile(junit, junitOf(reports));
  return reportTests(shell, reports);
}

async function reportOf(pair: TestPair, library: StepLibrary): Promise<FileReport> {
  const { workflow, tests } = await textsOf(pair);
  const run = runTests(workflow, tests, library);
  const file = pair.tests;
  if (run.ok) return { file, results: run.results, problems: [] };
  const path = run.in === 'workflow' ? pair.workflow : file;
  return {
    file,
    results: [],
    problems: run.problems.map(({ line, column, detail }) => `${path}:${line}:${column}: ${detail}`),
  };
}

const defaultPath = async (): Promise<string> =>
  (await stat('workflows').catch(() => undefined))?.isDirectory() ? 'workflows' : '.';

/** Editors write a file in several steps: a change is over when there was none for so long. */
const QUIET_MS = 100;

async function nextChange(folders: readonly string[], signal: AbortSignal, onWatching: () => void): Promise<void> {
  const own = new AbortController();
  await new Promise<void>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => resolve();
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', stop, { once: true });
    for (const folder of folders)
      watch(folder, { signal: own.signal }, () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, QUIET_MS);
      });
    onWatching();
  });
  own.abort();
}
