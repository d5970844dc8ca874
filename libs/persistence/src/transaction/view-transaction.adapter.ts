import type pg from 'pg';

import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';

import { pipelined, type Statement } from './pipeline.adapter.js';

const BEGIN: Statement = { text: 'begin' };
const COMMIT: Statement = { text: 'commit' };

/**
 * A transaction that talks to the database as rarely as it can: what is written waits for the next question, or for the
 * end. One that only writes is a single round trip, without `begin` and `commit`.
 */
export class PostgresViewTransaction implements ViewTransaction {
  private readonly pending: Statement[] = [];
  private readonly effects: ((isCommitted: boolean) => void)[] = [];
  private client: pg.PoolClient | undefined;
  private begun = false;
  /** Whether the commit must wait for the disk. */
  mustEndure = false;

  constructor(private readonly pool: pg.Pool) {}

  async query<R = unknown>(text: string, values: readonly unknown[] = []): Promise<R> {
    const statements = [...(this.begun ? [] : [BEGIN]), ...this.pending.splice(0), { text, values }];
    const { command, rows, rowCount } = (await this.send(statements)).at(-1)!;
    this.begun = true;
    // As TypeORM answers.
    return (command === 'UPDATE' || command === 'DELETE' ? [rows, rowCount] : rows) as R;
  }

  write(text: string, values: readonly unknown[], answered?: (rows: readonly pg.QueryResultRow[]) => void): void {
    this.pending.push({ text, values, ...(answered && { answered }) });
  }

  onEnd(effect: (isCommitted: boolean) => void): void {
    this.effects.push(effect);
  }

  endure(): void {
    this.mustEndure = true;
  }

  /** @param last sent together with what is still to be written, and with the commit. */
  async end(last: readonly Statement[] = []): Promise<void> {
    const statements = [...this.pending.splice(0), ...last, ...(this.begun ? [COMMIT] : [])];
    if (statements.length > 0) await this.send(statements);
    this.letGo();
    this.ended(true);
  }

  /** Never throws. */
  async rollback(): Promise<void> {
    this.ended(false);
    // Ends its transaction with the connection where the database does not answer.
    await this.client?.query('rollback').then(
      () => this.letGo(),
      (error: Error) => this.letGo(error),
    );
  }

  private ended(isCommitted: boolean): void {
    for (const effect of this.effects.splice(0)) effect(isCommitted);
  }

  private async send(statements: readonly Statement[]): Promise<pg.QueryResult[]> {
    this.client ??= (await this.pool.connect()).on('error', reported);
    try {
      return await pipelined(this.client, statements);
    } catch (error) {
      this.letGo(error as Error);
      throw error;
    }
  }

  private letGo(error?: Error): void {
    const { client } = this;
    this.client = undefined;
    client?.off('error', reported);
    client?.release(error);
  }
}

/** A connection that is lost between two statements says so here; the next statement fails, which is what counts. */
const reported = (): void => undefined;
