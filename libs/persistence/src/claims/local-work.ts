import { randomBytes } from 'node:crypto';

import type { Uuid } from '#libs/kernel/src/ids.js';

import type { Claim, Done } from './work-claims.adapter.js';
import type { Taken, Work } from './work.js';

/** A row that is written as claimed by this process already. */
export interface Reserved {
  readonly queue: string;
  readonly claim: string;
  readonly process: Uuid;
}

/**
 * The workers of this process, as who schedules sees them. Work that is due at once is handed over to them in the transaction
 * that writes its row: it needs no claim and no signal. What they have no room for is left to the process that claims it.
 */
export interface LocalWork {
  reserve(work: Pick<Work, 'queue' | 'key' | 'group'>): Reserved | undefined;
  /** The row was written; or, without `work`, it was not. */
  settle(reserved: Reserved, work?: Claim): void;
  hint(queue: string, key: string, payload: object): void;
  /** Whether the claim is one of this process that it no longer knows of: the work has ended, or never began. */
  isForgotten(queue: string, key: string, taken: Taken): boolean;
  /** Work that has ended here, which its row does not tell yet. */
  ended(queue: string, key: string): Done | undefined;
  /** Rows that are gone, or tell that the work has ended. */
  forget(queue: string, keys: readonly string[]): void;
}

/** Below zero, so that it is none of those that the database counts for rows that are claimed later. */
export const newClaim = (): string => String(-1n - (randomBytes(8).readBigUInt64BE() >> 1n));
