import type { DataSource } from 'typeorm';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import { poolOf } from '../src/data-source.adapter.js';
import { PostgresViewTransaction } from '../src/transaction/view-transaction.adapter.js';

/** What a subscriber does with the transaction of its batch, without a checkpoint. */
export async function inTransaction<T>(database: DataSource, work: (tx: ViewTransaction) => Promise<T>): Promise<T> {
  const tx = new PostgresViewTransaction(poolOf(database));
  try {
    const result = await work(tx);
    await tx.end();
    return result;
  } catch (error) {
    await tx.rollback();
    throw error;
  }
}
