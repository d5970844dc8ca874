import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { retentionVerbs } from './retention-verbs.js';

/** `millrace retention`. */
export function retentionCommands(program: Command, act: Act): void {
  addVerbs(program.command('retention').description('how long the log keeps things'), retentionVerbs, act);
}
