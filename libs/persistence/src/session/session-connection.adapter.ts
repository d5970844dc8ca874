import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { Signals } from '#libs/event-store/src/runner/locks.js';
import { backoff } from '#libs/kernel/src/time/backoff.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';

const BEAT_MS = 1_000;
/** A connection that does not answer for this long is given up: it may be half-open. */
const SILENT_FOR_MS = 3_000;
/** So that the server drops a machine that vanished, and with it the locks, within 6 seconds. */
const KEEPALIVE = 'set tcp_keepalives_idle = 3; set tcp_keepalives_interval = 1; set tcp_keepalives_count = 3';

/**
 * The one connection of this process that is never given to anybody else: what PostgreSQL ties to a session hangs on
 * it, the advisory locks and LISTEN. States: connected ⇄ lost (connecting again with back-off) → closed.
 */
export class SessionConnection extends Signals {
  /** Changes with every connection: what was tied to an earlier one is gone. */
  generation = 0;
  private client: pg.Client | undefined;
  private closed = false;
  private readonly listeners = new Map<string, Set<(text: string) => void>>();
  private readonly lostListeners = new Set<() => void>();
  private readonly connectedListeners = new Set<() => void>();
  private beat: NodeJS.Timeout | undefined;
  private readonly running: Promise<void>;
  private wake: (() => void) | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly url: string,
    private readonly log: Log = silentLog,
  ) {
    super();
    this.running = this.run();
  }

  get connected(): boolean {
    return this.client !== undefined;
  }

  /** Called at once if connected, and again after each reconnection. */
  onConnected(listener: () => void): void {
    this.connectedListeners.add(listener);
    if (this.client) listener();
  }

  onLost(listener: () => void): void {
    this.lostListeners.add(listener);
  }

  /** On this session. @throws if it is not connected, or is lost meanwhile. */
  async query<R extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<R[]> {
    if (!this.client) throw new Error('Connection terminated: the session is not connected');
    return (await this.ask<R>(this.client, text, values)).rows;
  }

  override send(topic: string, text: string): void {
    if (this.client) this.ask(this.client, 'select pg_notify($1, $2)', [topic, text]).catch(() => undefined);
  }

  override listen(topic: string, listener: (text: string) => void): () => void {
    let all = this.listeners.get(topic);
    if (!all) {
      this.listeners.set(topic, (all = new Set()));
      if (this.client) this.ask(this.client, `listen ${pg.escapeIdentifier(topic)}`).catch(() => undefined);
    }
    all.add(listener);
    return () => all.delete(listener);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake?.();
    const client = this.client;
    this.lose();
    await client?.end().catch(() => undefined);
    await this.running;
  }

  private async run(): Promise<void> {
    for (let tries = 0; !this.closed;) {
      const client = new pg.Client({
        connectionString: this.url,
        connectionTimeoutMillis: 5_000,
        keepAlive: true,
        keepAliveInitialDelayMillis: 3_000,
        application_name: `millrace session ${process.pid}`,
      });
      const ended = new Promise<void>((done) => client.once('end', done).on('error', () => done()));
      try {
        await client.connect();
        await client.query(KEEPALIVE);
        client.on('notification', ({ channel, payload }) =>
          this.listeners.get(channel)?.forEach((listener) => listener(payload ?? '')),
        );
        for (const topic of this.listeners.keys()) await client.query(`listen ${pg.escapeIdentifier(topic)}`);
        if (this.closed) {
          await client.end();
          return;
        }
        tries = 0;
        this.client = client;
        this.generation += 1;
        this.keepBeating(client);
        for (const listener of this.connectedListeners) listener();
        await ended;
        if (!this.closed) this.log.warn({}, 'the database session was lost; its locks are released');
      } catch (error) {
        tries += 1;
        this.log.warn({ error: messageOf(error) }, 'no database session; retrying');
        client.end().catch(() => undefined);
      }
      this.lose();
      if (!this.closed) await this.pause(backoff(tries + 1, { first: 100, max: 2_000 }));
    }
  }

  /** One statement after the other: `pg` no longer queues what is asked of a busy client. */
  private ask<R extends pg.QueryResultRow>(client: pg.Client, text: string, values: unknown[] = []) {
    const asked = this.last.then(() => client.query<R>(text, values));
    this.last = asked.catch(() => undefined);
    return asked;
  }

  private keepBeating(client: pg.Client): void {
    let waiting = false;
    clearInterval(this.beat);
    this.beat = setInterval(() => {
      if (waiting) return;
      waiting = true;
      const silent = setTimeout(() => this.destroy(client), SILENT_FOR_MS);
      this.ask(client, 'select 1')
        .catch(() => this.destroy(client))
        .finally(() => {
          clearTimeout(silent);
          waiting = false;
        });
    }, BEAT_MS);
  }

  /** `end()` would wait for an answer that does not come. */
  private destroy(client: pg.Client): void {
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    if (this.client === client) this.lose();
  }

  private lose(): void {
    clearInterval(this.beat);
    if (!this.client) return;
    this.client = undefined;
    this.generation += 1;
    for (const listener of this.lostListeners) listener();
  }

  private async pause(milliseconds: number): Promise<void> {
    const awake = new AbortController();
    this.wake = () => awake.abort();
    await delay(milliseconds, undefined, { signal: awake.signal }).catch(() => undefined);
  }
}
