import type { DataSource } from 'typeorm';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import { poolOf } from '../data-source.adapter.js';
import { inDatabase } from '../database-errors.js';
import { PostgresViewTransaction } from './view-transaction.adapter.js';

/** Does something in a transaction of its own, without a checkpoint. Throws `Transient` where the database cannot be used now. */
export async function inTransaction<T>(database: DataSource, work: (tx: ViewTransaction) => Promise<T>): Promise<T> {
  const tx = new PostgresViewTransaction(poolOf(database));
  return inDatabase(async () => {
    try {
      const result = await work(tx);
      await tx.end();
      return result;
    } catch (error) {
      await tx.rollback();
      throw error;
    }
  });
}
