import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataSource } from 'typeorm';

import type { Uuid } from '#libs/kernel/src/ids.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Wait } from './wait-index.js';
import { WaitRows } from './wait-rows.js';

/** Open waits in PostgreSQL. */
export class StoredWaits extends WaitRows {
  constructor(private readonly database: DataSource) {
    super();
  }

  async all(): Promise<readonly Wait[]> {
    const rows = await this.database.query<{ request_id: Uuid; position: string; org_id: string; wait: string }[]>(
      'select request_id, position, org_id, wait::text as wait from views.run_waits order by position',
    );
    return rows.map(({ request_id: id, position, org_id: orgId, wait }) => ({
      id,
      orgId,
      position: BigInt(position),
      ...(parseAsWritten(wait) as Pick<Wait, 'cause' | 'data'>),
    }));
  }

  async save(tx: ViewTransaction, added: readonly Wait[], removed: readonly Uuid[]): Promise<void> {
    if (added.length > 0)
      tx.write(
        `insert into views.run_waits (request_id, org_id, position, wait)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::json[]) on conflict do nothing`,
        [
          added.map(({ id }) => id),
          added.map(({ orgId }) => orgId),
          added.map(({ position }) => String(position)),
          added.map(({ cause, data }) => stringifyJson({ cause, data })),
        ],
      );
    if (removed.length > 0) tx.write('delete from views.run_waits where request_id = any($1::uuid[])', [removed]);
  }
}
