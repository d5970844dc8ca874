import { spawnSync } from 'node:child_process';
import { chown, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { Rejected } from '#libs/kernel/src/errors.js';

/**
 * As whom PostgreSQL's programs run. PostgreSQL refuses to run as root, so a root process starts them as the owner of
 * the existing data, or as `postgres`, or as `nobody`.
 */
export interface Account {
  /** Absent: as ourselves. */
  readonly uid?: number;
  readonly gid?: number;
  /** Program and arguments to put before the command, where the account alone could not reach the files. */
  readonly through: readonly string[];
}

const OURSELVES: Account = { through: [] };

/**
 * @param data the data folder, which may not exist yet: its owner, if not root, is the account.
 * @param reaches paths that the account must be able to reach: the data folder and the programs.
 */
export async function postgresAccount(data: string, reaches: readonly string[]): Promise<Account> {
  if (process.getuid?.() !== 0) return OURSELVES;
  const { uid, gid } = await accountOf(data);
  const blocked = await firstBlocked(uid, gid, reaches);
  if (blocked === undefined) return { uid, gid, through: [] };
  return { uid, gid, through: reachingThrough(uid, gid, blocked) };
}

async function accountOf(data: string): Promise<{ uid: number; gid: number }> {
  const owner = await stat(data).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.split(':');
    if (fields) return { uid: Number(fields[2]) >>> 0, gid: Number(fields[3]) >>> 0 };
  }
  throw new Rejected(
    'invalid',
    'postgres.no_account',
    'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to run it as. Start Millrace as another user, or set DATABASE_URL to a PostgreSQL server of your own.',
  );
}

/** The first folder on the way to one of the paths that the account may not pass, as far as mode bits tell. */
async function firstBlocked(uid: number, gid: number, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    for (let folder = await realpath(dirname(path)); ; folder = dirname(folder)) {
      const { mode, uid: owner, gid: group } = await stat(folder);
      const shift = owner === uid ? 6 : group === gid ? 3 : 0;
      if (((mode >> shift) & 1) === 0) return folder;
      if (folder === dirname(folder)) break;
    }
  }
  return undefined;
}

/**
 * `setpriv` (util-linux) hands the account one capability beside its own rights: to pass folders that are closed to it.
 * Containers often have only the wider `dac_override`.
 */
function reachingThrough(uid: number, gid: number, blocked: string): readonly string[] {
  for (const capability of ['dac_read_search', 'dac_override']) {
    const only = `-all,+${capability}`;
    const through = [
      'setpriv',
      // PostgreSQL asks access(2) about its own programs, and that looks past capabilities unless this bit is set.
      '--securebits=+no_setuid_fixup',
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      `--inh-caps=${only}`,
      `--ambient-caps=${only}`,
      `--bounding-set=${only}`,
    ];
    // `test -x` asks access(2), as PostgreSQL does.
    const trial = spawnSync(through[0]!, [...through.slice(1), 'test', '-x', join(blocked, '.')], {
      cwd: '/',
      env: { PATH: process.env['PATH'] },
    });
    if (trial.status === 0) return through;
  }
  throw new Rejected(
    'invalid',
    'data_dir.unreachable',
    `PostgreSQL does not run as root, and the user it runs as (uid ${uid}) has no permission to enter ${blocked}. Put the data (MILLRACE_DATA_DIR) and the program into folders that every user can enter, or "chmod o+x ${blocked}", or start Millrace as another user, or set DATABASE_URL.`,
  );
}

/** Hands a folder of ours, with all that is in it, to the account. Symbolic links are not followed. */
export async function giveTo(account: Account, folder: string): Promise<void> {
  if (account.uid === undefined || account.gid === undefined) return;
  await chown(folder, account.uid, account.gid);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await giveTo(account, path);
    else if (entry.isFile()) await chown(path, account.uid, account.gid);
  }
}
