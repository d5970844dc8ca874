import pg from 'pg';

import { EventStoreDbEventStore } from '#libs/event-store/src/adapters/eventstoredb/eventstoredb-event-store.adapter.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { StreamNames } from '#libs/event-store/src/names/stream-names.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import type { StoredEvent } from '../../event-store/testing/eventstoredb-double/double-log.js';
import { EventStoreDbDouble } from '../../event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';

/** A log that somebody changes behind the back of the program, with the tools of its database. */
export interface TamperedLog {
  /** As it is stored now. */
  open(): Promise<EventStore>;
  /** Changes a byte of an event's data: the texts have the same length. */
  change(position: bigint, from: string, to: string): Promise<void>;
  cutAfter(position: bigint): Promise<void>;
  remove(position: bigint): Promise<void>;
  swap(one: bigint, other: bigint): Promise<void>;
  /** A copy of an event under another id, right behind it. */
  addAfter(position: bigint): Promise<void>;
  close(): Promise<void>;
}

export async function tamperedPostgres(url: string): Promise<TamperedLog> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const run = async (...statements: readonly (readonly [string, ...unknown[]])[]): Promise<void> => {
    for (const [sql, ...values] of statements) await client.query(sql, values);
  };
  return {
    open: () => PostgresEventStore.open({ connectionString: url }),
    change: (position, from, to) =>
      run([
        `update log.events set data = convert_to(replace(convert_from(data, 'UTF8'), $2, $3), 'UTF8') where position = $1`,
        position,
        from,
        to,
      ]),
    cutAfter: (position) => run(['delete from log.events where position > $1', position]),
    remove: (position) => run(['delete from log.events where position = $1', position]),
    swap: (one, other) =>
      run(
        ['update log.events set position = -1 where position = $1', one],
        ['update log.events set position = $1 where position = $2', one, other],
        ['update log.events set position = $1 where position = -1', other],
      ),
    addAfter: (position) =>
      run(
        ['update log.events set position = -position where position > $1', position],
        ['update log.events set position = 1 - position where position < 0'],
        [
          `insert into log.events (position, stream, revision, id, type, created, data, metadata)
           select position + 1, stream || '-copy', 0, $2, type, created, data, metadata from log.events where position = $1`,
          position,
          uuid7(),
        ],
      ),
    close: () => client.end(),
  };
}

export async function tamperedEventStoreDb(): Promise<TamperedLog> {
  const double = await EventStoreDbDouble.start();
  const { all } = double.log;
  const at = (position: bigint): number => all.findIndex((event) => event.position === position);
  const put = (index: number, change: Partial<StoredEvent>): void => {
    all[index] = { ...all[index]!, ...change };
  };
  /** A server finds the events of a stream in the same records. */
  const done = (): Promise<void> => {
    const { streams } = double.log as unknown as { readonly streams: Map<string, StoredEvent[]> };
    for (const stream of streams.keys())
      streams.set(
        stream,
        all.filter((event) => event.stream === stream),
      );
    return Promise.resolve();
  };
  return {
    open: () => EventStoreDbEventStore.open({ connectionString: double.connectionString }),
    change(position, from, to) {
      const index = at(position);
      put(index, { data: Buffer.from(Buffer.from(all[index]!.data).toString().replace(from, to)) });
      return done();
    },
    cutAfter(position) {
      all.splice(at(position) + 1);
      return done();
    },
    remove(position) {
      all.splice(at(position), 1);
      return done();
    },
    swap(one, other) {
      const [first, second] = [all[at(one)]!, all[at(other)]!];
      all[at(one)] = { ...second, position: one, transaction: one };
      all[at(other)] = { ...first, position: other, transaction: other };
      return done();
    },
    addAfter(position) {
      const index = at(position);
      const event = all[index]!;
      const stream = new StreamNames().stored('copy-1');
      const place = position + 1n;
      all.splice(index + 1, 0, { ...event, id: uuid7(), stream, revision: 0n, position: place, transaction: place });
      return done();
    },
    close: () => double.stop(),
  };
}
