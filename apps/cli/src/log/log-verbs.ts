import type { Command } from 'commander';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import { addVerbs, type Given, type Verb } from '../nouns/verb-table.js';
import type { Act, Shell } from '../shell.js';

export const logVerbs: readonly Verb[] = [
  {
    usage: 'copy',
    does: 'copy the log between PostgreSQL and EventStoreDB, and verify the copy; run it again to go on',
    options: [
      ['--from <url>', 'the log: postgresql://…, esdb://… or esdb+discover://…'],
      ['--to <url>', 'an empty log, or an earlier copy'],
      ['--from-prefix <prefix>', 'how the streams of the source begin (default millrace.)'],
      ['--to-prefix <prefix>', 'how the streams of the target begin (default millrace.)'],
      ['--views <url>', 'the PostgreSQL of the servers, for logs with retention and for --finish (DATABASE_URL)'],
      ['--finish', 'the last run, while no server runs: prepare that PostgreSQL for servers that use the target'],
    ],
    run: copy,
  },
];

/** `millrace log`. */
export function logCommands(program: Command, act: Act): void {
  addVerbs(program.command('log').description('move the log to another database'), logVerbs, act);
}

const text = (given: Given, name: string): string | undefined => {
  const value = given[name];
  return typeof value === 'string' ? value : undefined;
};

async function copy(shell: Shell, _: readonly string[], given: Given): Promise<void> {
  const [from, to] = [text(given, 'from'), text(given, 'to')];
  if (from === undefined || to === undefined)
    throw new UsageError('Give the log with --from, and where to copy it with --to.');
  const [fromPrefix, toPrefix] = [text(given, 'fromPrefix'), text(given, 'toPrefix')];
  const views = text(given, 'views') ?? (shell.env['DATABASE_URL']?.trim() || undefined);
  const finish = given['finish'] === true;
  const { copyBetween } = await import('#libs/audit/src/log-copy/open-logs.adapter.js');
  const { signal } = shell;
  const result = await copyBetween({
    from: { url: from, ...(fromPrefix !== undefined && { prefix: fromPrefix }) },
    to: { url: to, ...(toPrefix !== undefined && { prefix: toPrefix }) },
    ...(views !== undefined && { views }),
    finish,
    signal,
    onProgress: ({ step, done }) => shell.bar(`${step}: ${done} events`),
  });
  shell.bar(undefined);
  const { size, root, copied, removed } = result;
  if (shell.json) return shell.print(stringifyJson({ ...result, finished: finish }, 2));
  if (shell.quiet) return shell.print(root);
  shell.print(`Copied ${copied} events. Both logs have ${size} events and the same tree.`);
  shell.print(`root ${root}`);
  if (removed > 0) shell.print(`${removed} events were removed by retention; their hashes are in the copy.`);
  shell.note(
    finish
      ? 'Start the servers with the new log now: they read it from its beginning.'
      : 'Events that are recorded from now on are not in the copy. Stop the servers, and run the command again with --finish.',
  );
}
