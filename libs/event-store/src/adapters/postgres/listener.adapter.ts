import type pg from 'pg';

import { connect, discard } from './connection.adapter.js';
import type { Feed } from './feed.js';
import { CHANNEL } from './schema.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** Notifications may be lost with a connection that looks alive; asking now and then bounds how late news can be. */
const POLL_MS = 1_000;

/**
 * Brings news of what other processes append into the feed: one connection that listens, made again with back-off when
 * it breaks, and a slow poll beside it.
 */
export class Listener {
  private client: pg.Client | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(
    private readonly connectionString: string,
    private readonly feed: Feed,
    private readonly head: () => Promise<bigint>,
    /** The connection whose notifications are this process's own: it needs no telling. */
    private readonly ownProcessId: () => number | null | undefined,
  ) {}

  start(): void {
    void this.listen(FIRST_PAUSE_MS);
    this.schedulePoll();
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    if (this.client) discard(this.client);
  }

  private async listen(pause: number): Promise<void> {
    if (this.isClosed) return;
    let isLost = false;
    try {
      const client = await connect(this.connectionString, 'millrace log listener', () => {
        if (isLost) return;
        isLost = true;
        this.disconnected('the connection to the log was lost', FIRST_PAUSE_MS);
      });
      this.client = client;
      client.on('notification', ({ payload, processId }) => {
        if (!payload) this.feed.forget();
        else if (processId !== this.ownProcessId()) this.feed.noticed(BigInt(payload));
      });
      await client.query(`LISTEN ${CHANNEL}`);
      // What was written before LISTEN took effect is not announced: ask once.
      const head = await this.head();
      if (this.isClosed) discard(client);
      else if (!isLost) this.feed.restored(head);
    } catch (error) {
      if (isLost) return;
      isLost = true;
      if (this.client) discard(this.client);
      this.disconnected(error instanceof Error ? error.message : String(error), Math.min(2 * pause, LONGEST_PAUSE_MS));
    }
  }

  private disconnected(reason: string, pause: number): void {
    this.client = undefined;
    if (this.isClosed) return;
    this.feed.lost(reason);
    setTimeout(() => void this.listen(pause), pause);
  }

  private schedulePoll(): void {
    this.timer = setTimeout(() => void this.poll(), POLL_MS);
  }

  private async poll(): Promise<void> {
    try {
      this.feed.noticed(await this.head());
    } catch {
      // A connection that does not answer here is not to be believed there either: it is made anew.
      if (this.client) discard(this.client);
    }
    if (!this.isClosed) this.schedulePoll();
  }
}
