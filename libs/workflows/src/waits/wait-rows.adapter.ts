import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataSource } from 'typeorm';

import type { Uuid } from '#libs/kernel/src/ids.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Wait } from './wait-index.js';
import { WaitRows } from './wait-rows.js';

interface Row {
  readonly request_id: Uuid;
  readonly position: string;
  readonly org_id: string;
  readonly wait: string;
}

const PART = 1_000;
/** Before every other. */
const FIRST = '00000000-0000-0000-0000-000000000000';

/** Open waits in PostgreSQL. */
export class StoredWaits extends WaitRows {
  constructor(private readonly database: DataSource) {
    super();
  }

  async *all(): AsyncGenerator<readonly Wait[]> {
    let last: Uuid = FIRST;
    for (;;) {
      const rows: readonly Row[] = await this.database.query(
        `select request_id, position, org_id, wait::text as wait from views.run_waits
          where request_id > $1 order by request_id limit $2`,
        [last, PART],
      );
      yield rows.map(({ request_id: id, position, org_id: orgId, wait }) => ({
        id,
        orgId,
        position: BigInt(position),
        ...(parseAsWritten(wait) as Pick<Wait, 'cause' | 'data'>),
      }));
      if (rows.length < PART) return;
      last = rows.at(-1)!.request_id;
    }
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
