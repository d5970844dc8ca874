import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DataSource } from 'typeorm';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { until } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { freePort } from '../../../test/support/server.js';
import { TcpProxy } from '../../../test/support/tcp-proxy.js';
import { openDataSource, poolOf } from './data-source.adapter.js';
import { databaseError } from './database-errors.js';
import { WebhookSettings } from './migrations/0019-webhook-settings.js';
import { migrations } from './migrations/list.js';

let database: TestDatabase;
let opened: DataSource[];
let proxies: TcpProxy[];

beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  opened = [];
  proxies = [];
});

afterEach(async () => {
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await Promise.all(opened.map((one) => one.destroy()));
  await database.drop();
});

async function open(url = database.url): Promise<DataSource> {
  const dataSource = await openDataSource({ url, poolSize: 3 });
  opened.push(dataSource);
  return dataSource;
}

async function refusal(url: string): Promise<{ code: string; message: string }> {
  try {
    await open(url);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was opened');
}

describe('opening', () => {
  test('brings an empty database to the newest form, and finds nothing to do the second time', async () => {
    const first = await open();
    const second = await open();
    const rows = await second.query<{ name: string }[]>('select name from views.migrations order by id');
    expect(rows).toHaveLength(migrations.length);
    expect(await first.query('select count(*)::int as n from views.work')).toEqual([{ n: 0 }]);
  });

  test('by five processes at once migrates once', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => open()));
    const rows = await all[0]!.query<unknown[]>('select name from views.migrations');
    expect(rows).toHaveLength(migrations.length);
  });

  test('undoes nothing that it cannot do again: every migration goes back and forth', async () => {
    const dataSource = await open();
    const runner = dataSource.createQueryRunner();
    for (const Migration of migrations.toReversed()) await new Migration().down(runner);
    for (const Migration of migrations) await new Migration().up(runner);
    await runner.release();
    expect(await dataSource.query('select count(*)::int as n from views.checkpoints')).toEqual([{ n: 0 }]);
  });
});

test('a text that no column holds is replaced, in what is written and in what is looked for alike', async () => {
  const dataSource = await open();
  await dataSource.query('create table texts (text text, json json)');
  const text = 'a\0b\ud800c';
  await dataSource.query('insert into texts select * from unnest($1::text[], $2::json[])', [
    [text],
    [JSON.stringify(text)],
  ]);
  await poolOf(dataSource).query('insert into texts values ($1)', [text]);
  await poolOf(dataSource).query({ name: 'named', text: 'insert into texts values ($1)', values: [text] });
  expect(await dataSource.query('select text, json from texts where text = $1', [text])).toEqual([
    { text: 'a\ufffdb\ufffdc', json: text },
    { text: 'a\ufffdb\ufffdc', json: null },
    { text: 'a\ufffdb\ufffdc', json: null },
  ]);
});

test('a number in a column of JSON keeps its digits, whatever its size', async () => {
  const dataSource = await open();
  const numbers = '[7615917337495251231,1e400,1e999999,1.50,-0]';
  const [row] = await dataSource.query<[{ json: unknown }]>('select $1::json as json', [numbers]);
  expect(stringifyJson(row.json)).toBe(numbers);
});

test('a webhook keeps its settings when they become one document, and when they become columns again', async () => {
  const dataSource = await open();
  const runner = dataSource.createQueryRunner();
  await new WebhookSettings().down(runner);
  const columns = `insert into views.webhooks (id, org_id, url, events, format, filter, header_names, signature_header,
    timeout_ms, status, secrets, created_at, updated_at) values`;
  const times = `'active', '["whk_1/secret/1", "whk_1/headers/1", "whk_1/headers/sec_2", "whk_1/secret/sec_3"]', now(), now()`;
  await runner.query(
    `${columns} ('whk_1', 'org_1', 'https://a.example', '["git.push"]', 'compact', 'data.x', '["X-A"]', 'X-Sig', 5, ${times}),
                ('whk_2', 'org_1', 'https://b.example', '["*"]', 'platform', null, '[]', null, 30000, ${times})`,
  );
  const before = await runner.query('select * from views.webhooks order by id');
  await new WebhookSettings().up(runner);
  expect(await runner.query('select settings from views.webhooks order by id')).toEqual([
    {
      settings: {
        url: 'https://a.example',
        events: ['git.push'],
        format: 'compact',
        timeoutMs: 5,
        filter: 'data.x',
        signatureHeader: 'X-Sig',
        headers: { names: ['X-A'], values: 'whk_1/headers/sec_2' },
      },
    },
    { settings: { url: 'https://b.example', events: ['*'], format: 'platform', timeoutMs: 30_000 } },
  ]);
  await new WebhookSettings().down(runner);
  expect(await runner.query('select * from views.webhooks order by id')).toEqual(before);
  await runner.release();
});

describe('a database that cannot be opened is named, with what to do, and without its password:', () => {
  const secret = 'hunter2hunter2';
  const changed = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    change(url);
    return url.href;
  };

  test.each<[string, string, string, () => Promise<string>]>([
    [
      'nothing listens',
      'database.unreachable',
      'does not answer (ECONNREFUSED)',
      async () => `postgresql://me:${secret}@127.0.0.1:${await freePort()}/millrace`,
    ],
    [
      'no such host',
      'database.unreachable',
      'at nowhere.invalid',
      () => Promise.resolve(`postgresql://me:${secret}@nowhere.invalid:5432/millrace`),
    ],
    [
      'no such database',
      'database.refused',
      'createdb',
      () => Promise.resolve(changed((url) => (url.pathname = '/missing'))),
    ],
    [
      'wrong password',
      'database.refused',
      'user or password is wrong',
      () => Promise.resolve(changed((url) => (url.password = secret))),
    ],
    [
      'not an address',
      'database.bad_url',
      'postgresql://user:password@host:5432/database',
      () => Promise.resolve(`hunter2 ${secret}`),
    ],
    [
      'not PostgreSQL',
      'database.bad_url',
      'percent-encoded',
      () => Promise.resolve(`mysql://me:${secret}@localhost/millrace`),
    ],
  ])('%s', async (_, code, words, url) => {
    const { code: given, message } = await refusal(await url());
    expect(given).toBe(code);
    expect(message).toContain('DATABASE_URL');
    expect(message).toContain(words);
    expect(message).not.toContain(secret);
  });
});

describe('a database that goes away', () => {
  async function openThroughProxy(): Promise<{ proxy: TcpProxy; dataSource: DataSource }> {
    const { proxy, url } = await TcpProxy.inFrontOf(database.url);
    proxies.push(proxy);
    return { proxy, dataSource: await open(url) };
  }

  test('is a passing error while it is away, and no error afterwards', async () => {
    const { proxy, dataSource } = await openThroughProxy();
    proxy.refuse();
    const failed = dataSource.query('select 1').catch((error: unknown) => databaseError(error));
    expect(await failed).toMatchObject({ name: 'Transient', code: 'database.unavailable' });
    proxy.restore();
    expect(await dataSource.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('without closing its connections swallows one statement of each, not the next', async () => {
    const { proxy, dataSource } = await openThroughProxy();
    expect(poolOf(dataSource).options.query_timeout).toBe(20_000);
    poolOf(dataSource).options.query_timeout = 200;
    // The connections so far have the long time-out: these go.
    proxy.refuse();
    await dataSource.query('select 1').catch(() => undefined);
    proxy.restore();
    await dataSource.query('select 1');

    proxy.freeze();
    const failed = dataSource.query('select 1').catch((error: unknown) => databaseError(error));
    expect(await failed).toMatchObject({ code: 'database.unavailable' });
    // The proxy still keeps everything open: it is we who gave the connection up.
    await until(() => poolOf(dataSource).totalCount === 0);
  });
});
