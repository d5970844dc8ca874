import type pg from 'pg';

import { backoff } from '#libs/kernel/src/time/backoff.js';

import { connect, discard } from './connection.adapter.js';
import type { Feed } from './feed.js';
import { CHANNEL } from './schema.js';

const BACKOFF = { first: 50, max: 1_000 };
/** Notifications may be lost with a connection that looks alive; asking now and then bounds how late news can be. */
const POLL_MS = 1_000;

/**
 * Brings news of what other processes append into the feed: one connection that listens, made again with back-off when
 * it breaks, and a slow poll beside it.
 */
export class Listener {
  private client: pg.Client | undefined;
  private pollTimer: NodeJS.Timeout | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private isClosed = false;
  /** The latest try to make the connection. */
  private listening = Promise.resolve();

  constructor(
    private readonly connectionString: string,
    private readonly feed: Feed,
    private readonly head: () => Promise<bigint>,
    /** The connection whose notifications are this process's own: it needs no telling. */
    private readonly ownProcessId: () => number | null | undefined,
  ) {}

  start(): void {
    this.listening = this.listen(1);
    this.schedulePoll();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.pollTimer);
    clearTimeout(this.retryTimer);
    if (this.client) discard(this.client);
    // It may have been about to be made just now.
    await this.listening;
    if (this.client) discard(this.client);
  }

  private async listen(tries: number): Promise<void> {
    try {
      this.client = await connect(this.connectionString, 'millrace log listener');
      await this.announce(this.client);
    } catch (error) {
      if (this.client) discard(this.client);
      this.retry(error instanceof Error ? error.message : String(error), tries);
    }
  }

  private async announce(client: pg.Client): Promise<void> {
    let isListening = false;
    client.on('end', () => {
      // Before, the statement that is under way fails too, and is the one to say so.
      if (isListening) this.retry('the connection to the log was lost', 1);
    });
    client.on('notification', ({ payload, processId }) => {
      if (!payload) this.feed.forget();
      else if (processId !== this.ownProcessId()) this.feed.noticed(BigInt(payload));
    });
    await client.query(`LISTEN ${CHANNEL}`);
    isListening = true;
    // What was written before LISTEN took effect is not announced: ask once.
    const head = await this.head();
    if (this.client === client) this.feed.restored(head);
  }

  private retry(reason: string, tries: number): void {
    if (this.isClosed || this.retryTimer) return;
    this.client = undefined;
    this.feed.lost(reason);
    this.retryTimer = setTimeout(
      () => {
        this.retryTimer = undefined;
        this.listening = this.listen(tries + 1);
      },
      backoff(tries, BACKOFF),
    );
  }

  private schedulePoll(): void {
    this.pollTimer = setTimeout(() => void this.poll(), POLL_MS);
  }

  private async poll(): Promise<void> {
    try {
      this.feed.noticed(await this.head());
    } catch {
      // A connection that does not answer here is not trusted there either: it is opened again.
      if (this.client) discard(this.client);
    }
    if (!this.isClosed) this.schedulePoll();
  }
}
