import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';

import { keyFromFile, readKeyFile } from './key-file.js';
import { Keyring } from './keyring.js';
import { PostgresSecrets } from './secrets.adapter.js';

/** The one row that says which key the secrets are encrypted under; null before the first start. */
export const INSTALLATION = { table: 'views.installation', sql: 'select key_id from views.installation' };

/** What the operator gives: keys in the environment, or else the data folder with the file of a generated one. */
export interface GivenKeys {
  readonly secretKeys: readonly Buffer[];
  readonly dataDir: string;
}

/**
 * The keys of this process. The fingerprint of the first key ever used is stored; from then on a process with another one
 * must not start: it could read no secret, and would store what no other process can read. Only where both keys are given
 * is the new one put in force and every secret encrypted again.
 * @returns also how many secrets were encrypted again.
 * @throws Rejected `secrets.key_lost`, `secrets.other_key`, `secrets.key_missing`
 */
export async function openKeyring(
  database: DataSource,
  { secretKeys, dataDir }: GivenKeys,
): Promise<{ readonly keyring: Keyring; readonly rotated: number }> {
  const known = await keyInForce(database);
  const [first = generatedKey(dataDir, known), ...others] = secretKeys;
  const keyring = new Keyring([first, ...others]);
  const inForce = known ?? (await claim(database, keyring.currentId));
  if (!keyring.ids.includes(inForce)) throw otherKey(inForce, keyring, secretKeys.length > 0, dataDir);
  const rotated = await new PostgresSecrets(database, keyring).rotate();
  // After the last secret: what is interrupted before is done again by the next start with both keys.
  if (inForce !== keyring.currentId)
    await database.query('update views.installation set key_id = $1', [keyring.currentId]);
  return { keyring, rotated };
}

/** Before fingerprints were stored, the secrets say which key it is. */
async function keyInForce(database: DataSource): Promise<string | undefined> {
  const [row] = await database.query<{ key_id: string | null }[]>(
    `select coalesce(
       (select key_id from views.installation),
       (select key_id from views.secrets group by key_id order by count(*) desc limit 1)) as key_id`,
  );
  return row?.key_id ?? undefined;
}

/** Of two processes that start at once on a fresh database, the first one says which key is in force. */
async function claim(database: DataSource, keyId: string): Promise<string> {
  await database.query('update views.installation set key_id = $1 where key_id is null', [keyId]);
  return (await keyInForce(database))!;
}

function generatedKey(dataDir: string, inForce: string | undefined): Buffer {
  const key = readKeyFile(dataDir);
  if (key) return key;
  if (inForce === undefined) return keyFromFile(dataDir);
  throw new Rejected(
    'conflict',
    'secrets.key_lost',
    `The secrets in the database are encrypted under key ${inForce}, and there is no secret.key in ${dataDir}. ` +
      'Restore that file from a backup, or copy it from the process that made it, or set MILLRACE_SECRET_KEY to that key. ' +
      'If the key is lost, docs/operations.md says how to continue without the secrets.',
  );
}

function otherKey(inForce: string, { currentId }: Keyring, isSet: boolean, dataDir: string): Rejected {
  const own = isSet ? 'MILLRACE_SECRET_KEY' : `secret.key in ${dataDir}`;
  return new Rejected(
    'conflict',
    'secrets.other_key',
    `The secrets in the database are encrypted under key ${inForce}, but ${own} has key ${currentId}. All processes of one ` +
      'database need the same key. To change the key, give both: MILLRACE_SECRET_KEY=<new key>,<old key>. ' +
      'A key that was generated is in the file secret.key of the data folder.',
  );
}
