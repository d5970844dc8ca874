import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { subjectVerbs } from './subject-verbs.js';

/** `millrace subject …` */
export function subjectCommands(program: Command, act: Act): void {
  addVerbs(program.command('subject').description('people of whom events have personal fields'), subjectVerbs, act);
}
