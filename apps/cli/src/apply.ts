import type { Command } from 'commander';

import { textFiles, wantedOf } from './apply/apply-files.js';
import { apply } from './apply/apply-plan.js';
import { report } from './apply/apply-report.js';
import type { Act } from './shell.js';

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
    .action(({ file, dryRun = false }: { file: string; dryRun?: boolean }) =>
      act(async (shell) => {
        const outcomes = await apply(shell, wantedOf(await textFiles(file)), dryRun);
        const exitCode = report(shell, outcomes, dryRun);
        if (outcomes.stopped !== undefined) throw outcomes.stopped as Error;
        return exitCode;
      }),
    );
}
