import type { Command } from 'commander';

import { workflowApplyCommand } from './apply.js';
import { addVerbs } from './nouns/verb-table.js';
import { exportAsTest, type ExportOptions } from './workflow/run-export.js';
import { runVerbs } from './run/run-verbs.js';
import type { Act } from './shell.js';
import { type TestOptions, testWorkflows } from './workflow/workflow-test.js';
import { versionVerbs } from './workflow/version-verbs.js';
import { workflowVerbs } from './workflow/workflow-verbs.js';

/** `millrace workflow …` */
export function workflowCommands(program: Command, act: Act): void {
  const workflow = program.command('workflow').description('workflows: save them, test them, run them');
  addVerbs(workflow, [...workflowVerbs, ...versionVerbs], act);
  workflowApplyCommand(workflow, act);
  workflow
    .command('test [paths...]')
    .description('run the tests beside workflows (name.test.yaml) in virtual time; needs no server')
    .option('--watch', 'run them again whenever a file changes')
    .option('--junit <file>', 'write a report for build servers')
    .option('--plugins <modules>', 'comma-separated, for steps of third parties (MILLRACE_PLUGINS)')
    .action((paths: readonly string[], options: TestOptions) =>
      act((shell, { env }) => testWorkflows(shell, paths, options, env)),
    );
}

/** `millrace run …` */
export function runCommands(program: Command, act: Act): void {
  const run = program.command('run').description('runs of workflows: follow, cancel and approve them');
  addVerbs(run, runVerbs, act);
  run
    .command('export <run>')
    .description('make a test out of what a run did')
    .option('--as-test', 'as name.test.yaml, which millrace workflow test runs')
    .option('--output <file>', 'write it there instead of to the terminal')
    .option('--plugins <modules>', 'comma-separated, for steps of third parties (MILLRACE_PLUGINS)')
    .action((id: string, options: ExportOptions) => act((shell, { env }) => exportAsTest(shell, id, options, env)));
}
