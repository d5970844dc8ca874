import { isAbsolute, resolve } from 'node:path';

import { parseKey } from '#libs/access/src/secrets/key-file.js';
import { Rejected } from '#libs/kernel/src/errors.js';

/** Which data: that of an own PostgreSQL, or else of the embedded one in the data folder. */
export interface DataPlace {
  readonly dataDir: string;
  readonly databaseUrl?: string;
  /** Of `MILLRACE_SECRET_KEY`; empty where the key is in the data folder. */
  readonly secretKeys: readonly Buffer[];
}

/**
 * By the same variables that a server is started with; `given` wins.
 * @throws Rejected `backup.bad_key`, `backup.bad_database`
 */
export function dataPlace(
  env: Readonly<Record<string, string | undefined>>,
  given: { readonly dataDir?: string; readonly database?: string },
): DataPlace {
  const dataDir = given.dataDir ?? (env['MILLRACE_DATA_DIR']?.trim() || '.millrace');
  // Who names a folder means the database in it, whatever the environment says.
  const database =
    given.database ?? (given.dataDir === undefined ? env['DATABASE_URL']?.trim() || undefined : undefined);
  if (database !== undefined && !/^postgres(ql)?:\/\//.test(database))
    throw new Rejected(
      'invalid',
      'backup.bad_database',
      'The database must be given as postgresql://user:password@host:5432/database.',
    );
  const texts = (env['MILLRACE_SECRET_KEY'] ?? '').split(',').filter((text) => text.trim() !== '');
  const secretKeys = texts.map((text) => {
    const key = parseKey(text);
    if (Buffer.isBuffer(key)) return key;
    throw new Rejected('invalid', 'backup.bad_key', `MILLRACE_SECRET_KEY ${key.problem}.`);
  });
  return {
    dataDir: isAbsolute(dataDir) ? dataDir : resolve(dataDir),
    ...(database !== undefined && { databaseUrl: database }),
    secretKeys,
  };
}
