import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { Counters } from './counters.js';

const INTERVAL_MS = 1000;

/** Writes the counts down once a second and when the process stops: never while a request waits for it. */
@Injectable()
export class CounterWriter implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Counters) private readonly counters: Counters,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.flush(), INTERVAL_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  /** What could not be written is tried again the next time. Never rejects. */
  flush(): Promise<void> {
    this.writing = this.writing.then(() => this.write());
    return this.writing;
  }

  private async write(): Promise<void> {
    const changes = this.counters.take();
    if (changes.length === 0) return;
    // In one order everywhere: two processes that write the same rows must not wait for each other.
    const sorted = [...changes].sort((a, b) =>
      `${a.integrationId} ${a.counter}` < `${b.integrationId} ${b.counter}` ? -1 : 1,
    );
    try {
      await this.database.query(
        `insert into views.integration_counters as existing (integration_id, counter, count, last_at)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[])
         on conflict (integration_id, counter) do update
           set count = existing.count + excluded.count, last_at = greatest(existing.last_at, excluded.last_at)`,
        [
          sorted.map((change) => change.integrationId),
          sorted.map((change) => change.counter),
          sorted.map((change) => change.count),
          sorted.map((change) => change.at.toISOString()),
        ],
      );
    } catch {
      // The database is away. Code that needs it reports that. Counts wait in memory, one row for each kind.
      this.counters.giveBack(changes);
    }
  }
}
