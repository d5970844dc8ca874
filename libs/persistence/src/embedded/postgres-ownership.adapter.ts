import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type pg from 'pg';

import { Rejected } from '#libs/kernel/src/errors.js';

import { isAlive } from './postgres-process.adapter.js';

/** Every process that wants the folder asks for this lock of PostgreSQL; the one that holds it owns the folder. */
const OWNER_LOCK = 7_118_503;
/** The session of a process that was just killed may need a moment to be noticed. */
const PATIENCE_MS = 10_000;

/** How the owner's session is called, so that others can say who it is. PostgreSQL keeps 63 characters. */
export const ownerName = (address: string | undefined): string =>
  `millrace ${process.pid} ${address ?? ''}`.trim().slice(0, 63);

/**
 * Takes the lock on this session: it is gone with the session, so a killed process leaves nothing behind.
 * @throws Rejected `data_dir.in_use` after closing the session.
 */
export async function takeOwnership(session: pg.Client, folder: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(50)) {
    const { rows } = await session.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [OWNER_LOCK]);
    if (rows[0]!.mine) return;
    const holder = await session.query<{ name: string }>(
      `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.granted and l.objid = $1`,
      [OWNER_LOCK],
    );
    const [, pid, address] = holder.rows[0]?.name.split(' ') ?? [];
    if (Date.now() < deadline && !(pid && isAlive(Number(pid)))) continue;
    await session.end();
    const who = `process ${pid ?? 'unknown'}${address ? `, ${address}` : ''}`;
    throw new Rejected(
      'conflict',
      'data_dir.in_use',
      `The data folder ${dirname(folder)} is in use by another Millrace (${who}). Stop it, or use another folder with MILLRACE_DATA_DIR.`,
    );
  }
}
