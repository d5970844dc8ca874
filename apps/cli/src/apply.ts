import type { Command } from 'commander';

import { textFiles, type Wanted, wantedOf } from './apply/apply-files.js';
import { apply } from './apply/apply-plan.js';
import { report } from './apply/apply-report.js';
import type { Act, Shell } from './shell.js';

/** `millrace apply -f …` */
export function applyCommand(program: Command, act: Act): void {
  program
    .command('apply')
    .description('create or update event types, workflows and rules from files; a repeat changes nothing')
    .requiredOption(
      '-f, --file <path>',
      'a file, a folder with files, event-types/, rules/ and workflows/, or - for the standard input',
    )
    .option('--dry-run', 'check only, and show what would change')
    .action(({ file, dryRun = false }: ApplyOptions & { file: string }) =>
      act((shell) => applyFiles(shell, file, dryRun)),
    );
}

interface ApplyOptions {
  readonly dryRun?: boolean;
}

/** `millrace workflow apply <path>`: of the files only those with workflows. */
export function workflowApplyCommand(workflow: Command, act: Act): void {
  workflow
    .command('apply <path>')
    .description('create or update workflows from a file or folder; a repeat changes nothing')
    .option('--dry-run', 'check only, and show what would change')
    .action((path: string, { dryRun = false }: ApplyOptions) =>
      act((shell) => applyFiles(shell, path, dryRun, ['workflow', 'unreadable'])),
    );
}

async function applyFiles(
  shell: Shell,
  path: string,
  dryRun: boolean,
  kinds?: readonly Wanted['kind'][],
): Promise<number> {
  const wanted = wantedOf(await textFiles(path)).filter(({ kind }) => kinds?.includes(kind) ?? true);
  const outcomes = await apply(shell, wanted, dryRun);
  const exitCode = report(shell, outcomes, dryRun);
  if (outcomes.stopped !== undefined) throw outcomes.stopped as Error;
  return exitCode;
}
