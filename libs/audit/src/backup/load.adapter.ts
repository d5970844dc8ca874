import { createReadStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

import { INSTALLATION } from '#libs/access/src/secrets/key-in-force.adapter.js';
import { migrate } from '#libs/event-store/src/adapters/postgres/migrations.adapter.js';
import { MIGRATIONS } from '#libs/event-store/src/adapters/postgres/schema.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { migrateViews } from '#libs/persistence/src/data-source.adapter.js';
import { migrations } from '#libs/persistence/src/migrations/list.js';

import { fileOf, type Manifest, type SavedTable } from './backup-folder.js';
import { connected, type Moving } from './dump.adapter.js';

/**
 * Makes the tables as they were when the backup was made, fills them in one transaction, and brings them to the newest
 * form. What is killed before the end leaves an empty database.
 * @throws Rejected `backup.newer_version`, `backup.database_in_use`, `backup.changed`
 */
export async function loadDatabase(url: string, folder: string, manifest: Manifest, moving: Moving): Promise<void> {
  refuseNewer(manifest);
  const client = await connected(url, moving.signal);
  try {
    await makeEmpty(client);
    if (manifest.log) await migrate(client, manifest.log.prefix, MIGRATIONS.slice(0, manifest.log.version));
    await migrateViews(url, new Set(manifest.views));
    await client.query('begin');
    await client.query(`truncate ${manifest.tables.map(({ name }) => name).join(', ')}`);
    for (const [done, table] of manifest.tables.entries()) {
      const told = (bytes: number): void =>
        moving.onProgress({ table: table.name, bytes, done, of: manifest.tables.length });
      await loadTable(client, folder, table, told, moving.signal);
    }
    for (const [name, last] of Object.entries(manifest.sequences))
      if (last !== null) await client.query('select setval($1::regclass, $2::bigint)', [name, last]);
    crashPoint('backup.before-commit');
    await client.query('commit');
    await client.query('analyze');
    if (manifest.log) await migrate(client, manifest.log.prefix);
    await migrateViews(url);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function refuseNewer({ views, log, program }: Manifest): void {
  const known = new Set<string>(migrations.map((Migration) => new Migration().name));
  if (views.every((name) => known.has(name)) && (log?.version ?? 0) <= MIGRATIONS.length) return;
  throw new Rejected(
    'conflict',
    'backup.newer_version',
    `The backup was made by Millrace ${program}, which is newer than this one. Restore it with that version or a newer one.`,
  );
}

/** Takes away what a restore left behind that was killed before it had loaded anything; refuses what was used. */
async function makeEmpty(client: pg.Client): Promise<void> {
  const holds = async (table: string, condition: string): Promise<boolean> => {
    const { rows } = await client.query<{ found: string | null }>('select to_regclass($1)::text as found', [table]);
    return rows[0]!.found !== null && (await client.query(`select from ${table} where ${condition}`)).rowCount! > 0;
  };
  if ((await holds('log.head', 'position > 0')) || (await holds(INSTALLATION.table, 'key_id is not null')))
    throw new Rejected(
      'conflict',
      'backup.database_in_use',
      'The database holds data of Millrace already. Restore into an empty database or another folder.',
    );
  await client.query('drop schema if exists log, views cascade');
}

async function loadTable(
  client: pg.Client,
  folder: string,
  { name, columns, rows }: SavedTable,
  told: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const copy = client.query(copyFrom(`copy ${name} (${columns.join(', ')}) from stdin (format binary)`));
  let size = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _, done) {
      told((size += chunk.length));
      done(null, chunk);
    },
  });
  told(0);
  try {
    await pipeline(createReadStream(fileOf(folder, name)), createGunzip(), counted, copy, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw changed(name, error);
  }
  if (copy.rowCount !== rows) throw changed(name);
}

const changed = (table: string, cause?: unknown): Rejected =>
  new Rejected(
    'invalid',
    'backup.changed',
    `The file of the table ${table} is not as it was written: "millrace backup verify" names every file that was changed. Use another backup.`,
    { cause },
  );
