import type { Command } from 'commander';

import type { Verification } from '#libs/audit/src/backup/backup.adapter.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT } from '../failures.js';
import { addVerbs, type Given, type Verb } from '../nouns/verb-table.js';
import type { Act, Shell } from '../shell.js';

const DATA_DIR = [
  '--data-dir <folder>',
  'the data folder of the server (MILLRACE_DATA_DIR; default .millrace)',
] as const;
const DATABASE = ['--database <url>', 'your own PostgreSQL instead (DATABASE_URL)'] as const;

/** What is loaded only when it is needed: PostgreSQL's client and the adapters. */
const loaded = async (shell: Shell, { dataDir, database }: Given) => {
  const [backup, { dataPlace }] = await Promise.all([
    import('#libs/audit/src/backup/backup.adapter.js'),
    import('#libs/audit/src/backup/data-place.js'),
  ]);
  const place = dataPlace(shell.env, {
    ...(typeof dataDir === 'string' && { dataDir }),
    ...(typeof database === 'string' && { database }),
  });
  return { ...backup, place };
};

const MEGABYTE = 1024 * 1024;
const moving = (shell: Shell) => ({
  signal: shell.signal,
  onProgress: ({ table, bytes, done, of }: { table: string; bytes: number; done: number; of: number }): void =>
    shell.bar(`table ${done + 1} of ${of}: ${table}, ${Math.floor(bytes / MEGABYTE)} MiB`),
});

export const backupVerbs: readonly Verb[] = [
  {
    usage: 'create <folder>',
    does: 'back up the database into a new folder, also while the server runs',
    options: [DATA_DIR, DATABASE, ['--with-key', 'copy secret.key too: who has the backup can then read every secret']],
    run: create,
  },
  {
    usage: 'restore <folder>',
    does: 'restore a backup into an empty data folder or database',
    options: [DATA_DIR, DATABASE],
    run: restore,
  },
  {
    usage: 'verify <folder>',
    does: 'compare the files with their hashes, restore into a temporary database, and verify the log in it',
    options: [DATA_DIR, ['--files-only', 'compare the files alone: needs no key']],
    run: verify,
  },
];

/** `millrace backup`. */
export function backupCommands(program: Command, act: Act): void {
  addVerbs(program.command('backup').description('back up, restore and verify what a server keeps'), backupVerbs, act);
}

async function create(shell: Shell, [folder]: readonly string[], given: Given): Promise<void> {
  const { createBackup, place } = await loaded(shell, given);
  const manifest = await createBackup(place, folder!, { ...moving(shell), withKey: given['withKey'] === true });
  shell.bar(undefined);
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  const bytes = manifest.tables.reduce((sum, table) => sum + table.bytes, 0);
  const { createdAt, log, keyId } = manifest;
  if (shell.json)
    shell.print(stringifyJson({ folder, createdAt, tables: manifest.tables.length, rows, bytes, log, keyId }, 2));
  else if (shell.quiet) shell.print(folder!);
  else
    shell.print(
      `${folder!}: ${rows} rows of ${manifest.tables.length} tables, ${(bytes / MEGABYTE).toFixed(1)} MiB, as of ${createdAt}`,
    );
  if (!log)
    shell.note('The log is in EventStoreDB, and not in this backup: back it up with the tools of EventStoreDB too.');
  if (keyId !== undefined && given['withKey'] !== true)
    shell.note(`The secrets in it are encrypted under key ${keyId}. Keep a copy of that key in another place.`);
}

async function restore(shell: Shell, [folder]: readonly string[], given: Given): Promise<void> {
  const { restoreBackup, place } = await loaded(shell, given);
  const { manifest, missingKey } = await restoreBackup(place, folder!, moving(shell));
  shell.bar(undefined);
  const { createdAt, tables, log } = manifest;
  const into = place.databaseUrl === undefined ? place.dataDir : 'the database';
  if (shell.json)
    shell.print(
      stringifyJson(
        {
          into: place.databaseUrl === undefined ? place.dataDir : null,
          createdAt,
          tables: tables.length,
          log,
          missingKey,
        },
        2,
      ),
    );
  else shell.print(shell.quiet ? into : `Restored ${into} as of ${createdAt}: ${tables.length} tables.`);
  if (missingKey !== undefined)
    shell.note(
      `Before you start a server, put key ${missingKey} in place: secret.key in the data folder, or MILLRACE_SECRET_KEY.`,
    );
}

async function verify(shell: Shell, [folder]: readonly string[], given: Given): Promise<number> {
  const { checkBackup, place } = await loaded(shell, given);
  const { onProgress: onLoad, signal } = moving(shell);
  const check = await checkBackup(folder!, given['filesOnly'] === true ? undefined : place, {
    signal,
    onLoad,
    onFile: (table) => shell.bar(`file of ${table}`),
    onEvents: ({ done, of }) => shell.bar(`${done} of ${of} events`),
  });
  shell.bar(undefined);
  if (shell.json) shell.print(stringifyJson(check, 2));
  else if (shell.quiet) shell.print(check.ok ? 'ok' : 'changed');
  else {
    for (const { table, detail } of check.files) shell.print(`${table}: ${detail}`);
    for (const { kind, index, detail } of check.log?.findings ?? []) shell.print(`${kind}: index ${index}. ${detail}`);
    shell.print(
      `${check.ok ? 'The backup is whole' : 'THE BACKUP IS NOT WHOLE'}: ${check.rows} rows of ${check.tables} tables, as of ${check.createdAt}${logWords(check.log)}`,
    );
  }
  return check.ok ? 0 : EXIT.no;
}

const logWords = (log: Verification | undefined): string =>
  log ? `; ${log.size} events of the log verified with ${log.checkpoints} checkpoints` : '';
