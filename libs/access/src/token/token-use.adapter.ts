import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';

const INTERVAL_MS = 5_000;

/** When each token was last used. Kept in memory and written in sets: no request waits for it. */
@Injectable()
export class TokenUse implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private pending = new Map<string, number>();

  constructor(@Inject(DataSource) private readonly database: DataSource) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.flush(), INTERVAL_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  used(tokenId: string, at: Date): void {
    this.pending.set(tokenId, at.getTime());
  }

  /** By id; a token that was never used is left out. */
  async lastUses(tokenIds: readonly string[]): Promise<ReadonlyMap<string, Date>> {
    const rows = await this.database.query<{ token_id: string; last_used_at: Date }[]>(
      'select token_id, last_used_at from views.token_uses where token_id = any($1)',
      [tokenIds],
    );
    const stored = new Map(rows.map((row) => [row.token_id, row.last_used_at]));
    for (const id of tokenIds) {
      const here = this.pending.get(id);
      if (here !== undefined) stored.set(id, new Date(Math.max(here, stored.get(id)?.getTime() ?? 0)));
    }
    return stored;
  }

  /** What could not be written is written the next time. Never rejects. */
  private async flush(): Promise<void> {
    const taken = [...this.pending].sort(([a], [b]) => (a < b ? -1 : 1));
    if (taken.length === 0) return;
    this.pending = new Map();
    try {
      await this.database.query(
        `insert into views.token_uses as existing (token_id, last_used_at)
         select * from unnest($1::text[], $2::timestamptz[])
         on conflict (token_id) do update set last_used_at = greatest(existing.last_used_at, excluded.last_used_at)`,
        [taken.map(([id]) => id), taken.map(([, at]) => new Date(at).toISOString())],
      );
    } catch {
      // The database is away. Code that needs it reports that.
      for (const [id, at] of taken) if (!this.pending.has(id)) this.pending.set(id, at);
    }
  }
}
