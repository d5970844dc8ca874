import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { secretVerbs } from './secret-verbs.js';

/** `millrace secret …` */
export function secretCommands(program: Command, act: Act): void {
  addVerbs(program.command('secret').description('secrets for workflows and rules'), secretVerbs, act);
}
