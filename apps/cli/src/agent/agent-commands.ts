import type { Command } from 'commander';

import { addVerbs } from '../nouns/verb-table.js';
import type { Act } from '../shell.js';
import { agentVerbs } from './agent-verbs.js';
import { executionVerbs } from './execution-verbs.js';

/** `millrace agent`. */
export function addAgentCommands(program: Command, act: Act): void {
  const noun = program.command('agent').description('agents and their executions');
  addVerbs(noun, [...agentVerbs, ...executionVerbs], act);
}
