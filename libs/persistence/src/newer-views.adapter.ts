import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';

import { versionOfViews } from './migrations/0022-installation.js';
import { migrations } from './migrations/list.js';
import { VERSION } from './version.js';

/**
 * An older program would write views that a newer one has changed the meaning of.
 * @throws Rejected `database.newer_version`
 */
export async function refuseNewer(database: DataSource): Promise<void> {
  const [table] = await database.query<{ found: string | null }[]>(`select to_regclass('views.migrations') as found`);
  if (!table?.found) return;
  const known = new Set<string>(migrations.map((Migration) => new Migration().name));
  const applied = await database.query<{ name: string }[]>('select name from views.migrations order by id');
  const unknown = applied.filter(({ name }) => !known.has(name));
  if (unknown.length === 0) return;
  throw new Rejected(
    'conflict',
    'database.newer_version',
    `The views in this database were made by Millrace ${(await versionOfViews(database)) ?? '(a newer version)'}; this is ${VERSION}, which lacks the migrations ` +
      `${unknown.map(({ name }) => name.replace(/\d+$/, '')).join(', ')}. Start that version or a newer one, or restore a backup from before the upgrade.`,
  );
}
