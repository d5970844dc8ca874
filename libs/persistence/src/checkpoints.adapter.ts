import type pg from 'pg';
import type { DataSource } from 'typeorm';

import {
  CheckpointMoved,
  type CheckpointMove,
  Checkpoints,
  type CheckpointTransaction,
  type ParkedEvent,
  type StoredCheckpoint,
  Unstorable,
} from '#libs/event-store/src/runner/checkpoints.js';
import { messageOf } from '#libs/kernel/src/errors.js';

import { poolOf } from './data-source.adapter.js';
import { databaseError, inDatabase, isOfValues } from './database-errors.js';
import { PipelineError, type Statement } from './transaction/pipeline.adapter.js';
import { PostgresViewTransaction } from './transaction/view-transaction.adapter.js';

/**
 * Views and their checkpoint are one transaction, and follow from the log: losing the newest ones in a power cut means
 * handling those events again. So they do not wait for the disk, which the log needs.
 */
const UNHURRIED = `, set_config('synchronous_commit', 'off', true)`;

/** Fails, and undoes what was sent with it, where the checkpoint is not at the position that it is moved from. */
const MOVE = `
  with moved as (
    update views.checkpoints set position = $2, updated_at = clock_timestamp()
     where name = $1 and position = $3 returning 1)
  select 1 / (select count(*)::int from moved)`;

const FIRST = `
  with moved as (
    insert into views.checkpoints (name, position) values ($1, $2) on conflict (name) do nothing returning 1)
  select 1 / (select count(*)::int from moved)`;
const NOT_MOVED = '22012';

const PARK = `
  insert into views.parked_events (subscriber, position, event_id, type, reason, tries) values ($1, $2, $3, $4, $5, $6)
  on conflict (subscriber, position) do update
    set reason = excluded.reason, tries = excluded.tries, parked_at = clock_timestamp(), retry_at = null`;

interface ParkedRow {
  readonly subscriber: string;
  readonly position: string;
  readonly event_id: string;
  readonly type: string;
  readonly reason: string;
  readonly tries: number;
}

const PARKED_COLUMNS = 'subscriber, position, event_id, type, reason, tries';

/** Checkpoints in `views.checkpoints`, beside the views. */
export class PostgresCheckpoints extends Checkpoints {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async load(name: string): Promise<bigint | undefined> {
    const rows = await this.read<{ position: string }>('select position from views.checkpoints where name = $1', [
      name,
    ]);
    return rows[0] && BigInt(rows[0].position);
  }

  override async begin(): Promise<CheckpointTransaction> {
    return new PostgresTransaction(poolOf(this.dataSource));
  }

  override async save(move: CheckpointMove): Promise<void> {
    await new PostgresTransaction(poolOf(this.dataSource)).commit(move);
  }

  override async all(): Promise<ReadonlyMap<string, StoredCheckpoint>> {
    const rows = await this.read<{ name: string; position: string; updated_at: Date }>(
      'select name, position, updated_at from views.checkpoints',
    );
    return new Map(rows.map((row) => [row.name, { position: BigInt(row.position), updatedAt: row.updated_at }]));
  }

  override async parked(name?: string, limit = 200): Promise<readonly ParkedEvent[]> {
    const rows = await this.read<ParkedRow>(
      `select ${PARKED_COLUMNS} from views.parked_events where $1::text is null or subscriber = $1
        order by parked_at, subscriber, position limit $2`,
      [name ?? null, limit],
    );
    return rows.map(parkedEvent);
  }

  override async parkedToRetry(name: string): Promise<readonly ParkedEvent[]> {
    const rows = await this.read<ParkedRow>(
      `select ${PARKED_COLUMNS} from views.parked_events where subscriber = $1 and retry_at is not null order by position`,
      [name],
    );
    return rows.map(parkedEvent);
  }

  override async requestRetry(name: string, position: bigint): Promise<boolean> {
    const rows = await this.read(
      `update views.parked_events set retry_at = clock_timestamp() where subscriber = $1 and position = $2 returning 1`,
      [name, String(position)],
    );
    return rows.length > 0;
  }

  override async parkedCounts(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.read<{ subscriber: string; count: number }>(
      'select subscriber, count(*)::int as count from views.parked_events group by subscriber',
    );
    return new Map(rows.map(({ subscriber, count }) => [subscriber, count]));
  }

  override classify(error: unknown): unknown {
    const known = databaseError(error);
    return isOfValues(known) ? new Unstorable(messageOf(known), { cause: known }) : known;
  }

  private read<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return inDatabase(async () => (await poolOf(this.dataSource).query<R>(text, values)).rows);
  }
}

class PostgresTransaction implements CheckpointTransaction {
  readonly views: PostgresViewTransaction;

  constructor(pool: pg.Pool) {
    this.views = new PostgresViewTransaction(pool);
  }

  async park({ subscriber, position, eventId, type, reason, tries }: ParkedEvent): Promise<void> {
    this.views.write(PARK, [subscriber, String(position), eventId, type, reason, tries]);
  }

  async unpark(name: string, position: bigint): Promise<void> {
    const sql = 'delete from views.parked_events where subscriber = $1 and position = $2';
    this.views.write(sql, [name, String(position)]);
  }

  async commit(move?: CheckpointMove): Promise<void> {
    await inDatabase(async () => {
      try {
        await this.views.end(move ? [moving(move, this.views.mustEndure)] : []);
      } catch (error) {
        if (
          move &&
          error instanceof PipelineError &&
          error.text === moving(move, this.views.mustEndure).text &&
          codeOf(error) === NOT_MOVED
        )
          throw new CheckpointMoved(move);
        throw error;
      }
    });
  }

  rollback(): Promise<void> {
    return this.views.rollback();
  }
}

/** @param mustEndure whether the commit waits for the disk */
function moving({ name, from, to }: CheckpointMove, mustEndure: boolean): Statement {
  const text = (from === undefined ? FIRST : MOVE) + (mustEndure ? '' : UNHURRIED);
  return { text, values: [name, String(to), ...(from === undefined ? [] : [String(from)])] };
}

const codeOf = ({ cause }: PipelineError): unknown => (cause as { code?: unknown }).code;

const parkedEvent = (row: ParkedRow): ParkedEvent => ({
  subscriber: row.subscriber,
  position: BigInt(row.position),
  eventId: row.event_id,
  type: row.type,
  reason: row.reason,
  tries: row.tries,
});
