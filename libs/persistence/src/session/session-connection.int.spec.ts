import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { until } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { AdvisoryLocks } from './advisory-locks.adapter.js';
import { SessionConnection } from './session-connection.adapter.js';

let database: TestDatabase;
let sessions: SessionConnection[];
let proxies: TcpProxy[];
let stop: AbortController;
let holding: Promise<void>[];

beforeEach(async () => {
  database = await createTestDatabase();
  sessions = [];
  proxies = [];
  stop = new AbortController();
  holding = [];
});

afterEach(async () => {
  stop.abort();
  await Promise.all(holding);
  await Promise.all(sessions.map((session) => session.close()));
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await database.drop();
});

function session(url = database.url): SessionConnection {
  const one = new SessionConnection(url);
  sessions.push(one);
  return one;
}

async function throughProxy(): Promise<{ proxy: TcpProxy; one: SessionConnection }> {
  const { proxy, url } = await TcpProxy.inFrontOf(database.url);
  proxies.push(proxy);
  return { proxy, one: session(url) };
}

/** Competes for the lock for the whole test, and keeps what happened. */
function compete(locks: AdvisoryLocks, who: string, history: string[]): void {
  const work = async (lost: AbortSignal): Promise<void> => {
    history.push(`${who} holds`);
    await new Promise<void>((done) => lost.addEventListener('abort', () => done(), { once: true }));
    history.push(`${who} lost`);
  };
  holding.push(locks.hold('one', stop.signal, work));
}

describe('messages', () => {
  test('reach every process that listens, this one too, also after the connection was lost', async () => {
    const [one, { proxy, one: other }] = [session(), await throughProxy()];
    const heard: string[] = [];
    one.listen('topic', (text) => heard.push(`one ${text}`));
    other.listen('topic', (text) => heard.push(`other ${text}`));
    await until(() => one.connected && other.connected);
    one.send('topic', 'a b');
    await until(() => heard.length === 2);
    expect(heard.sort()).toEqual(['one a b', 'other a b']);

    proxy.refuse();
    await until(() => !other.connected);
    proxy.restore();
    await until(() => other.connected);
    one.send('topic', 'again');
    await until(() => heard.includes('other again'));
  });

  test('that nobody listens to any more are not heard', async () => {
    const one = session();
    const heard: string[] = [];
    const unlisten = one.listen('topic', (text) => heard.push(text));
    one.listen('topic', (text) => heard.push(`still ${text}`));
    await until(() => one.connected);
    unlisten();
    one.send('topic', 'x');
    await until(() => heard.length > 0);
    expect(heard).toEqual(['still x']);
  });
});

describe('a lock', () => {
  test('is held by one; the next one gets it as soon as the work of the first ends', async () => {
    const history: string[] = [];
    const [one, other] = [new AdvisoryLocks(session()), new AdvisoryLocks(session())];
    let end: (() => void) | undefined;
    holding.push(
      one.hold('one', stop.signal, async () => {
        history.push('one holds');
        await new Promise<void>((done) => (end = done));
      }),
    );
    await until(() => end !== undefined);
    compete(other, 'other', history);
    end!();
    await until(() => history.length === 2);
    expect(history).toEqual(['one holds', 'other holds']);
  });

  test('is not given twice to those who ask for it in one process', async () => {
    const locks = new AdvisoryLocks(session());
    const history: string[] = [];
    compete(locks, 'first', history);
    compete(locks, 'second', history);
    await until(() => history.length === 1);
    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    // Time enough for two more tries.
    await admin.query('select pg_sleep(1.2)');
    const { rows } = await admin.query<{ n: number }>(
      `select count(*)::int as n from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    );
    await admin.end();
    expect(rows).toEqual([{ n: 1 }]);
    expect(history).toHaveLength(1);
  });

  test('is lost with the connection, and told to its holder, who competes again', async () => {
    const history: string[] = [];
    const { proxy, one } = await throughProxy();
    compete(new AdvisoryLocks(one), 'one', history);
    await until(() => history.length === 1);
    compete(new AdvisoryLocks(session()), 'other', history);
    proxy.refuse();
    await until(() => history.length === 3);
    expect(history.slice(1).sort()).toEqual(['one lost', 'other holds']);
    proxy.restore();
    await until(() => one.connected);
    expect(history).toHaveLength(3);
  });

  test('is given up by a holder whose connection does not answer any more, though nobody closed it', async () => {
    const history: string[] = [];
    const { proxy, one } = await throughProxy();
    compete(new AdvisoryLocks(one), 'one', history);
    await until(() => history.length === 1);
    proxy.freeze();
    await until(() => history.length === 2);
    expect(history).toEqual(['one holds', 'one lost']);
  });
});
