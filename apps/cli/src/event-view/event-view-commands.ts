import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { eventViewVerbs } from './event-view-verbs.js';

/** `millrace event-view`. */
export function eventViewCommands(program: Command, act: Act): void {
  addVerbs(program.command('event-view').description('saved views of the log'), eventViewVerbs, act);
}
