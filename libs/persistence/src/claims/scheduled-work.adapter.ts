import type { EntityManager } from 'typeorm';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import type { Work } from './work.js';

/** What a row of work says now, whether it is claimed or not; `undefined` where there is none. */
export async function scheduledWork<Payload extends object>(
  database: Pick<ViewTransaction | EntityManager, 'query'>,
  queue: string,
  key: string,
): Promise<Pick<Work<Payload>, 'payload' | 'position'> | undefined> {
  const [row] = await database.query<{ payload: Payload; position: string }[]>(
    'select payload, position from views.work where queue = $1 and key = $2',
    [queue, key],
  );
  return row && { payload: row.payload, position: BigInt(row.position) };
}
