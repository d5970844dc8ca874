import type { DataSource } from 'typeorm';

const MOST = 100;

/** Ids of runs of an organisation that wait to be resumed, since processes died again and again at the same step. */
export async function blockedRuns(database: Pick<DataSource, 'query'>, orgId: string): Promise<readonly string[]> {
  const rows = await database.query<{ id: string }[]>(
    `select id from views.runs where org_id = $1 and status = 'blocked' order by id limit ${MOST}`,
    [orgId],
  );
  return rows.map(({ id }) => id);
}
