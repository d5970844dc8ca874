import { type Command, Option } from 'commander';

import { eventVerbs } from './event/event-verbs.js';
import { AS_OF, listPast, viewPast } from './nouns/as-of.js';
import { addVerbs } from './nouns/verb-table.js';
import { type ExportOptions, exportRules } from './rule/rule-export.js';
import * as verbs from './rule/rule-verbs.js';
import type { Act } from './shell.js';

const STATUSES = ['enabled', 'disabled', 'archived'];
const OUTCOMES = ['matched', 'not_matched', 'errored'];

/** `millrace rule …` */
export function ruleCommands(program: Command, act: Act): void {
  const rule = program.command('rule').description('manage, test and explain rules');
  rule
    .command('ls')
    .description('list rules')
    .addOption(new Option('--status <status>', 'only rules with this status').choices(STATUSES))
    .option(...AS_OF)
    .action(({ asOf, ...options }: { status?: string; asOf?: string }) =>
      act((shell) => (asOf === undefined ? verbs.list(shell, options) : listPast(shell, 'rules', asOf))),
    );
  rule
    .command('view <rule>')
    .description('show a rule, by id or name')
    .option(...AS_OF)
    .action((given: string, { asOf }: { asOf?: string }) =>
      act((shell) => (asOf === undefined ? verbs.view(shell, given) : viewPast(shell, 'rules', asOf, given))),
    );
  rule
    .command('create <file>')
    .description('save a new rule from a YAML or JSON file (- is the standard input)')
    .action((file: string) => act((shell) => verbs.create(shell, file)));
  rule
    .command('update <rule> <file>')
    .description('replace a rule; makes a new version if something changed')
    .action((given: string, file: string) => act((shell) => verbs.update(shell, given, file)));
  rule
    .command('rm <rule>')
    .description('archive a rule permanently; its decisions stay')
    .action((given: string) => act((shell) => verbs.remove(shell, given)));
  rule
    .command('enable <rule>')
    .description('enable a rule')
    .action((given: string) => act((shell) => verbs.switchTo(shell, given, true)));
  rule
    .command('disable <rule>')
    .description('disable a rule')
    .action((given: string) => act((shell) => verbs.switchTo(shell, given, false)));
  rule
    .command('versions <rule>')
    .description('list the versions of a rule, newest first')
    .action((given: string) => act((shell) => verbs.versions(shell, given)));
  rule
    .command('export [rules...]')
    .description('export rules as YAML for apply: all, or those given by id or name')
    .option('-o, --output <folder>', 'write one file per rule into this folder, not to standard output')
    .addOption(new Option('--status <status>', 'only rules with this status').choices(STATUSES))
    .action((given: readonly string[], options: ExportOptions) => act((shell) => exportRules(shell, given, options)));
  rule
    .command('test <file>')
    .description('evaluate a draft for one event, without effects')
    .requiredOption('--event <id|file>', 'an event id (evt_…), or a file with an event')
    .addOption(new Option('--expect <outcome>', 'exit with 1 unless the outcome is this').choices(OUTCOMES))
    .action((file: string, options: { event: string; expect?: string }) =>
      act((shell) => verbs.test(shell, file, options)),
    );
  rule
    .command('backtest <file>')
    .description('evaluate a draft for past events, without effects')
    .option('--from <when>', 'a time, a position, or how long ago (7d); default: the first event')
    .option('--to <when>', 'a time, a position, or how long ago; default: now')
    .addOption(
      new Option('--by <time>', 'the time of events to compare with; default: receivedAt').choices([
        'receivedAt',
        'timestamp',
      ]),
    )
    .option('--compare-to <rule>', 'a saved rule, by id or name; @ and a number chooses a version')
    .action((file: string, options: verbs.BacktestOptions) => act((shell) => verbs.backtest(shell, file, options)));
  whyCommand(rule, act);
}

/** `millrace event …` */
export function eventCommands(program: Command, act: Act): void {
  const event = program
    .command('event')
    .description('events: search, publish and follow them, and what followed from them');
  addVerbs(event, eventVerbs, act);
  whyCommand(event, act);
}

const whyCommand = (noun: Command, act: Act): Command =>
  noun
    .command('why <event>')
    .description('show what each rule and workflow decided about an event, and why other rules did not look at it')
    .action((event: string) => act((shell) => verbs.why(shell, event)));
