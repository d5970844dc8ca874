import { type Command, Option } from 'commander';

import { type ExportOptions, exportRules } from './rule/rule-export.js';
import * as verbs from './rule/rule-verbs.js';
import type { Act } from './shell.js';

const STATUSES = ['enabled', 'disabled', 'archived'];
const OUTCOMES = ['matched', 'not_matched', 'errored'];

/** `millrace rule …` */
export function ruleCommands(program: Command, act: Act): void {
  const rule = program.command('rule').description('trigger rules: save them, try them, ask them why');
  rule
    .command('ls')
    .description('list rules')
    .addOption(new Option('--status <status>', 'those of this status').choices(STATUSES))
    .action((options: { status?: string }) => act((shell) => verbs.list(shell, options)));
  rule
    .command('view <rule>')
    .description('show a rule, by id or name')
    .action((given: string) => act((shell) => verbs.view(shell, given)));
  rule
    .command('create <file>')
    .description('save a new rule from a YAML or JSON file (- is the standard input)')
    .action((file: string) => act((shell) => verbs.create(shell, file)));
  rule
    .command('update <rule> <file>')
    .description('save a rule again; a new version, unless nothing changed')
    .action((given: string, file: string) => act((shell) => verbs.update(shell, given, file)));
  rule
    .command('rm <rule>')
    .description('archive a rule for good; its decisions stay')
    .action((given: string) => act((shell) => verbs.remove(shell, given)));
  rule
    .command('enable <rule>')
    .description('let a rule look at every later event')
    .action((given: string) => act((shell) => verbs.switchTo(shell, given, true)));
  rule
    .command('disable <rule>')
    .description('let a rule look at no later event')
    .action((given: string) => act((shell) => verbs.switchTo(shell, given, false)));
  rule
    .command('versions <rule>')
    .description('every version of a rule, newest first')
    .action((given: string) => act((shell) => verbs.versions(shell, given)));
  rule
    .command('export [rules...]')
    .description('write rules as YAML that apply reads: all, or those named by id or name')
    .option('-o, --output <folder>', 'one file for each rule, in place of the standard output')
    .addOption(new Option('--status <status>', 'those of this status').choices(STATUSES))
    .action((given: readonly string[], options: ExportOptions) => act((shell) => exportRules(shell, given, options)));
  rule
    .command('test <file>')
    .description('what a draft would make of one event; nothing is done')
    .requiredOption('--event <id|file>', 'an event of the log (evt_…), or a file with one')
    .addOption(new Option('--expect <outcome>', 'fail unless the outcome is this one').choices(OUTCOMES))
    .action((file: string, options: { event: string; expect?: string }) =>
      act((shell) => verbs.test(shell, file, options)),
    );
  rule
    .command('backtest <file>')
    .description('what a draft would have made of the events of the past; nothing is done')
    .option('--from <when>', 'a time, a position, or how long ago (7d); default: the first event')
    .option('--to <when>', 'a time, a position, or how long ago; default: now')
    .option('--compare-to <rule>', 'a saved rule by id or name, with @ and a version or as it is in force')
    .action((file: string, options: verbs.BacktestOptions) => act((shell) => verbs.backtest(shell, file, options)));
  rule
    .command('why <event>')
    .description('what every rule made of an event, and why the others made nothing of it')
    .action((event: string) => act((shell) => verbs.why(shell, event)));
}
