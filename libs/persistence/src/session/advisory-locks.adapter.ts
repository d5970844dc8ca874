import { createHash } from 'node:crypto';

import { Locks } from '#libs/event-store/src/runner/locks.js';

import type { SessionConnection } from './session-connection.adapter.js';

/** How often locks that others hold are asked for again; a lock that is given back is announced at once. */
const POLL_MS = 500;
const FREED = 'millrace_freed';

interface Wanted {
  readonly name: string;
  readonly take: (lost: AbortController) => void;
}

/**
 * Advisory locks of PostgreSQL on the session of this process: free at once when the process dies, and when its machine
 * vanishes as soon as the server's keepalive notices. When the session is lost, so are all locks.
 */
export class AdvisoryLocks extends Locks {
  private readonly wanted = new Set<Wanted>();
  private readonly held = new Map<string, AbortController>();
  private trying: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly session: SessionConnection) {
    super();
    session.onConnected(() => this.try());
    session.onLost(() => {
      for (const lost of this.held.values()) lost.abort();
      this.held.clear();
    });
    session.listen(FREED, () => this.try());
  }

  override async hold(name: string, stop: AbortSignal, work: (lost: AbortSignal) => Promise<void>): Promise<void> {
    while (!stop.aborted) {
      const lost = await this.acquire(name, stop);
      if (!lost) return;
      try {
        if (!stop.aborted) await work(AbortSignal.any([stop, lost.signal]));
      } finally {
        await this.release(name, lost);
      }
      if (!lost.signal.aborted) return;
    }
  }

  /** Whether any process holds a lock, this one or another. */
  async isHeld(name: string): Promise<boolean> {
    const rows = await this.session.query<{ held: boolean }>(
      `select exists (select 1 from pg_locks where locktype = 'advisory' and granted and objsubid = 1
         and database = (select oid from pg_database where datname = current_database())
         and (classid::bigint << 32 | objid::bigint) = $1::bigint) as held`,
      [keyOf(name)],
    );
    return rows[0]!.held;
  }

  private acquire(name: string, stop: AbortSignal): Promise<AbortController | undefined> {
    return new Promise((done) => {
      const settle = (lost: AbortController | undefined): void => {
        this.wanted.delete(wanted);
        stop.removeEventListener('abort', giveUp);
        if (this.wanted.size === 0) this.stopPolling();
        done(lost);
      };
      const giveUp = (): void => settle(undefined);
      const wanted: Wanted = { name, take: settle };
      this.wanted.add(wanted);
      stop.addEventListener('abort', giveUp, { once: true });
      this.timer ??= setInterval(() => this.try(), POLL_MS);
      this.try();
    });
  }

  private async release(name: string, lost: AbortController): Promise<void> {
    if (this.held.get(name) !== lost) return;
    this.held.delete(name);
    try {
      await this.session.query('select pg_advisory_unlock($1::bigint)', [keyOf(name)]);
      this.session.send(FREED, name);
    } catch {
      // The session is gone, and the lock with it.
    }
  }

  private try(): void {
    this.trying ??= Promise.resolve()
      .then(() => this.tryAll())
      .catch(() => undefined)
      .finally(() => (this.trying = undefined));
  }

  private async tryAll(): Promise<void> {
    // PostgreSQL gives a session the lock that it holds once more: ask for each once, and only for those not held.
    const free = [...this.wanted].reverse().filter(({ name }) => !this.held.has(name));
    const asked = [...new Map(free.map((wanted) => [wanted.name, wanted])).values()];
    if (asked.length === 0 || !this.session.connected) return;
    const generation = this.session.generation;
    const rows = await this.session.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(key) as taken from unnest($1::bigint[]) with ordinality as k (key, n) order by n',
      [asked.map(({ name }) => keyOf(name))],
    );
    for (const [index, wanted] of asked.entries()) {
      if (!rows[index]!.taken) continue;
      const lost = new AbortController();
      if (this.session.generation !== generation) lost.abort();
      else this.held.set(wanted.name, lost);
      if (this.wanted.has(wanted)) wanted.take(lost);
      else await this.release(wanted.name, lost);
    }
  }

  private stopPolling(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

/** 64 bits of the name, as PostgreSQL's bigint. */
const keyOf = (name: string): string =>
  String(createHash('sha256').update(`millrace lock ${name}`).digest().readBigInt64BE(0));
