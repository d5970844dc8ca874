import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { replayVerbs } from './replay-verbs.js';

/** `millrace replay`. */
export function replayCommands(program: Command, act: Act): void {
  addVerbs(
    program.command('replay').description('read the log again: what happened, event by event'),
    replayVerbs,
    act,
  );
}
