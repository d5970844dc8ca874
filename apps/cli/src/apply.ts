import type { Command } from 'commander';

import { textFiles, wantedOf } from './apply-files.js';
import { apply, report } from './apply-plan.js';
import type { Act } from './shell.js';

/** `millrace apply -f …` */
export function applyCommand(program: Command, act: Act): void {
  program
    .command('apply')
    .description('bring rules and workflows from files into force; twice changes nothing')
    .requiredOption('-f, --file <path>', 'a file, or a folder with files, rules/ and workflows/')
    .option('--dry-run', 'check, and say what would change')
    .action(({ file, dryRun = false }: { file: string; dryRun?: boolean }) =>
      act(async (shell) => {
        const wanted = wantedOf(await textFiles(file));
        return report(shell, await apply(shell, wanted, dryRun), dryRun);
      }),
    );
}
