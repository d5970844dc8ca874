import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { auditVerbs } from './audit-verbs.js';

/** `millrace audit`. */
export function auditCommands(program: Command, act: Act): void {
  addVerbs(program.command('audit').description('prove that nothing in the log was changed'), auditVerbs, act);
}
