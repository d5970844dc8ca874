import type { RunAnswer, RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { dashed, pairsOf } from '../options.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';
import { approvalVerbs } from './approval-verbs.js';
import { follow, pathOf, show } from './follow-run.js';
import { retryMany } from './retry-many.js';
import { FILTER_OPTIONS, filterOf, queryOf } from './run-filter.js';

/** The verbs of `millrace run`. */
export const runVerbs: readonly Verb[] = [
  {
    usage: 'ls',
    does: 'list runs, newest first',
    options: [['--status <status>', 'of this status'], ...FILTER_OPTIONS],
    run: list,
  },
  {
    usage: 'view <run>',
    does: 'show a run and its steps',
    options: [['--watch', 'follow it to its end; the exit code is 1 if it fails']],
    run: view,
  },
  {
    usage: 'retry [run]',
    does: 'let a failed run, or with --all all that match, go on from the steps that failed',
    options: [
      ['--all', 'all failed runs that match the options below; alone it counts them'],
      ['--yes', 'with --all: retry them, however many they are'],
      ['--confirm <number>', 'with --all: retry them if they are this many'],
      ['--rate <number>', 'with --all: runs a second (10)'],
      ...FILTER_OPTIONS.map(
        ([flags, meaning]) =>
          [
            flags,
            flags.startsWith('--version')
              ? 'on another version: its hash or its number; with --all: of this version'
              : meaning,
          ] as const,
      ),
    ],
    run: retry,
  },
  {
    usage: 'restart <run>',
    does: 'start a new run like this one, on the same version',
    options: [
      ['--latest', 'on the version that is active now'],
      ['--from <step>', 'begin with this step; earlier ones are not run again'],
      ['--input <key=value>...', 'an input instead of those of the run; the value may be JSON'],
      ['--output <step=value>...', 'with --from: the output of an earlier step; the value may be JSON'],
    ],
    run: restart,
  },
  { usage: 'cancel <run>', does: 'stop a run', run: (shell, [id]) => command(shell, id!, 'cancel') },
  { usage: 'pause <run>', does: 'let nothing new begin in a run', run: (shell, [id]) => command(shell, id!, 'pause') },
  {
    usage: 'resume <run>',
    does: 'let a run go on that is paused or blocked',
    run: (shell, [id]) => command(shell, id!, 'resume'),
  },
  ...approvalVerbs,
];

async function list(shell: Shell, _: readonly string[], given: Given): Promise<void> {
  const { status } = given;
  const query = queryOf({ ...filterOf(given), ...(typeof status === 'string' && { status }) });
  const runs = await all<RunAnswer>(shell, `/api/v1/runs${query}`);
  if (shell.json) return shell.print(stringifyJson(runs, 2));
  if (shell.quiet) return runs.forEach(({ id }) => shell.print(id));
  if (runs.length === 0) return shell.note('There are no such runs.');
  shell.table(
    ['ID', 'WORKFLOW', 'STATUS', 'STARTED', 'ENDED', 'ERROR'],
    runs.map((run) => [run.id, run.workflow, run.status, run.startedAt, run.endedAt ?? '–', run.error?.code ?? '–']),
  );
}

async function view(shell: Shell, [id]: readonly string[], { watch }: Given): Promise<number> {
  if (watch) return follow(shell, id!);
  show(shell, await shell.call<RunDetails>('GET', pathOf(id!)));
  return 0;
}

async function command(shell: Shell, id: string, verb: 'cancel' | 'pause' | 'resume'): Promise<void> {
  show(shell, await shell.call<RunDetails>('POST', `${pathOf(id)}/${verb}`));
}

async function retry(shell: Shell, [id]: readonly string[], given: Given): Promise<number> {
  if (given['all'] && id !== undefined) throw new UsageError('Name a run or use --all, not both.');
  if (given['all']) return retryMany(shell, given);
  if (id === undefined) throw new UsageError('Name a run, or use --all with a filter such as --workflow.');
  const { version } = given;
  const ofAll = Object.keys(given).find((option) => option !== 'version');
  if (ofAll !== undefined)
    throw new UsageError(`--${dashed(ofAll)} goes with --all. Leave out the run, or the option.`);
  show(shell, await shell.call<RunDetails>('POST', `${pathOf(id)}/retry`, version === undefined ? {} : { version }));
  return 0;
}

async function restart(shell: Shell, [id]: readonly string[], { latest, from, input, output }: Given): Promise<void> {
  const body = {
    ...(latest && { latest: true }),
    ...(from !== undefined && { from }),
    ...(input && { inputs: pairsOf('--input', input) }),
    ...(output && { outputs: pairsOf('--output', output) }),
  };
  show(shell, await shell.call<RunDetails>('POST', `${pathOf(id!)}/restart`, body));
}
