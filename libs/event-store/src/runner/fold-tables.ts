import { setTimeout as delay } from 'node:timers/promises';

import { type Backoff, backoff } from '#libs/kernel/src/time/backoff.js';
import { messageOf, Transient } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { EventStore, RecordedEvent } from '../event-store.js';
import type { Table } from '../subscriber.js';

const PAGE = 2_000;

/** Tables by the event types that they read. */
export class TableSet {
  readonly types: readonly string[];
  private readonly byType = new Map<string, Table[]>();
  /** Number of events that each table went on without. */
  private readonly skipped = new Map<string, number>();

  constructor(
    readonly tables: readonly Table[],
    private readonly log: Log,
    private readonly classify: (error: unknown) => unknown,
    private readonly retries: Backoff,
  ) {
    for (const table of tables)
      for (const type of table.reads) this.byType.set(type, [...(this.byType.get(type) ?? []), table]);
    this.types = [...this.byType.keys()];
  }

  /** How many events the table could not take in. */
  failuresOf(table: string): number {
    return this.skipped.get(table) ?? 0;
  }

  clear(): void {
    this.skipped.clear();
    for (const table of this.tables) {
      table.clear();
      table.incomplete = false;
    }
  }

  isIncomplete(table: string): boolean {
    return this.tables.some(({ name, incomplete }) => name === table && incomplete === true);
  }

  /** A promise only where a table waits, so that folding costs no turn of the event loop for each event. */
  apply(event: RecordedEvent, signal: AbortSignal): Promise<void> | undefined {
    const tables = this.byType.get(event.type);
    if (!tables) return undefined;
    let waits: Promise<void>[] | undefined;
    for (const table of tables) {
      try {
        const result = table.apply(event);
        if (result) (waits ??= []).push(result.catch((error: unknown) => this.retry(table, event, error, signal)));
      } catch (error) {
        (waits ??= []).push(this.retry(table, event, error, signal));
      }
    }
    return waits && Promise.all(waits).then(() => undefined);
  }

  /**
   * A passing error holds the tables up, since what comes after would be folded onto a gap. A permanent one would hold
   * them up without end: that event is left out, and reported.
   */
  private async retry(table: Table, event: RecordedEvent, first: unknown, signal: AbortSignal): Promise<void> {
    let error = this.classify(first);
    for (let tries = 1; error instanceof Transient; tries++) {
      this.log.warn({ table: table.name, error: messageOf(error) }, 'a table waits for another table');
      await delay(backoff(tries, this.retries), undefined, { signal });
      try {
        return await table.apply(event);
      } catch (next) {
        error = this.classify(next);
      }
    }
    this.skipped.set(table.name, this.failuresOf(table.name) + 1);
    // What nobody can read is missing from no table.
    if (event.isReadable) table.incomplete = true;
    const { type, id, position } = event;
    this.log.error(
      { table: table.name, type, id, position: String(position), error },
      'a table cannot process an event and continues without it',
    );
  }
}

/** Clears the tables and folds the log into them, up to and including `upTo`. */
export async function primeTables(
  store: EventStore,
  tables: TableSet,
  upTo: bigint | undefined,
  signal: AbortSignal,
): Promise<void> {
  tables.clear();
  if (upTo === undefined || tables.types.length === 0) return;
  let after: bigint | undefined;
  for (;;) {
    signal.throwIfAborted();
    const page = await store.readAll({
      ...(after !== undefined && { after }),
      filter: { types: tables.types },
      limit: PAGE,
    });
    for (const event of page.events) {
      if (event.position > upTo) return;
      const waits = tables.apply(event, signal);
      if (waits) await waits;
    }
    if (page.end || page.position >= upTo) return;
    after = page.position;
  }
}
