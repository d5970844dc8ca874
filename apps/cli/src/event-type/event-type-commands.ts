import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { eventTypeVerbs } from './event-type-verbs.js';

/** `millrace event-type …` */
export function eventTypeCommands(program: Command, act: Act): void {
  addVerbs(program.command('event-type').description('event types, your own and built-in ones'), eventTypeVerbs, act);
}
