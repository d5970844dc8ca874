import { createHash } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { defer, lastValueFrom } from 'rxjs';
import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';
import { openDataSource } from '#libs/persistence/src/data-source.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { IdempotencyStore } from './idempotency-store.adapter.js';
import { IdempotencyInterceptor } from './idempotency.adapter.js';
import { Keyring } from '../secrets/keyring.js';

const keyring = (name = 'a') => new Keyring([createHash('sha256').update(name).digest()]);

interface Sent {
  readonly key?: string;
  readonly method?: string;
  readonly url?: string;
  readonly body?: unknown;
  readonly tokenId?: string;
  readonly orgId?: string;
}

describe('a POST with an Idempotency-Key', () => {
  let testDatabase: TestDatabase;
  let database: DataSource;
  let store: IdempotencyStore;
  let done: number;
  beforeEach(async () => {
    testDatabase = await createTestDatabase();
    database = await openDataSource({ url: testDatabase.url, poolSize: 4 });
    store = new IdempotencyStore(database, keyring());
    done = 0;
  });
  afterEach(async () => {
    await database.destroy();
    await testDatabase.drop();
  });

  /** Sends a request to a route that answers as `work` does; gives back what the client sees. */
  async function send(
    sent: Sent = {},
    work: (n: number, reply: { header(name: string, value: string): void }) => unknown = (n) => ({
      id: n,
      secret: 'shown once',
    }),
  ) {
    const headers: Record<string, string> = {};
    const reply = {
      statusCode: 201,
      sent: false,
      status(code: number) {
        this.statusCode = code;
      },
      header(name: string, value: string) {
        headers[name.toLowerCase()] = value;
      },
      getHeader: (name: string) => headers[name],
    };
    const request = {
      method: sent.method ?? 'POST',
      url: sent.url ?? '/api/v1/things',
      body: sent.body ?? { name: 'a' },
      caller: {
        orgId: sent.orgId ?? 'org_a',
        tokenId: sent.tokenId ?? 'tok_1',
        actor: 'token/tok_1',
        roles: ['admin'],
        ...('key' in sent ? { idempotencyKey: sent.key } : { idempotencyKey: 'k' }),
      },
    };
    const context = {
      switchToHttp: () => ({ getRequest: () => request, getResponse: () => reply }),
    } as unknown as ExecutionContext;
    const next: CallHandler = { handle: () => defer(async () => work(++done, reply)) };
    try {
      const body = await lastValueFrom(await new IdempotencyInterceptor(store).intercept(context, next));
      return { status: reply.statusCode, body, replayed: headers['idempotency-replayed'] === 'true', headers };
    } catch (error) {
      if (error instanceof Rejected) return { code: error.code, retryAfter: error.retryAfter };
      throw error;
    }
  }

  it('is carried out once and answered the same afterwards, marked as a repetition', async () => {
    const first = await send();
    expect(first).toMatchObject({ status: 201, body: { id: 1 }, replayed: false });
    expect(await send()).toMatchObject({ status: 201, body: first.body, replayed: true });
    expect(done).toBe(1);
  });

  it('gives back the headers that belong to what was made, and no others', async () => {
    await send({}, (n, reply) => {
      reply.header('ETag', '"7"');
      reply.header('X-Request-Cost', '3');
      return { id: n };
    });
    const { headers } = (await send()) as { headers: Record<string, string> };
    expect(headers).toEqual({ etag: '"7"', 'idempotency-replayed': 'true' });
  });

  it('does not care about the order of keys in the body', async () => {
    await send({ body: { a: 1, b: { c: 2, d: 3 } } });
    expect(await send({ body: { b: { d: 3, c: 2 }, a: 1 } })).toMatchObject({ replayed: true });
  });

  it.each([
    ['another body', { body: { name: 'b' } }],
    ['another route', { url: '/api/v1/others' }],
    ['another query', { url: '/api/v1/things?force=true' }],
    ['another token, which must not see what the first was shown', { tokenId: 'tok_2' }],
  ])('is refused for %s under the same key', async (_, other) => {
    await send();
    expect(await send(other)).toMatchObject({ code: 'idempotency.key_reused' });
    expect(done).toBe(1);
  });

  it('of one organisation has nothing to do with the same key of another', async () => {
    await send();
    expect(await send({ orgId: 'org_b' })).toMatchObject({ body: { id: 2 }, replayed: false });
  });

  it('that comes again while the first is still at work is told to come back', async () => {
    let finish = () => undefined as void;
    const working = new Promise<void>((resolve) => (finish = resolve));
    let started = () => undefined as void;
    const begun = new Promise<void>((resolve) => (started = resolve));
    const first = send({}, async () => {
      started();
      await working;
      return { id: 'slow' };
    });
    await begun;
    expect(await send()).toEqual({ code: 'idempotency.in_progress', retryAfter: 1 });
    finish();
    await first;
    expect(await send()).toMatchObject({ body: { id: 'slow' }, replayed: true });
  });

  it('is carried out by one alone of many that come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send()));
    expect(done).toBe(1);
    expect(answers.filter((one) => 'body' in one && !one.replayed)).toHaveLength(1);
  });

  it('that was refused can be mended and sent again under its key', async () => {
    const refused = await send({ body: { name: '' } }, () => {
      throw new Rejected('invalid', 'thing.nameless', 'Give it a name.');
    });
    expect(refused).toMatchObject({ code: 'thing.nameless' });
    expect(await send({ body: { name: 'a' } })).toMatchObject({ status: 201, replayed: false });
  });

  it('of a process that died in the middle is free again after a while, for the same request alone', async () => {
    const request = { orgId: 'org_a', tokenId: 'tok_1', key: 'k', fingerprint: 'f' };
    expect(await store.claim(request)).toEqual({ kind: 'first' });
    expect(await store.claim(request)).toEqual({ kind: 'busy' });
    await database.query(`update views.idempotency set claimed_until = now() - interval '1 second'`);
    expect(await store.claim({ ...request, fingerprint: 'other' })).toEqual({ kind: 'reused' });
    expect(await store.claim(request)).toEqual({ kind: 'first' });
  });

  it('is forgotten after 24 hours', async () => {
    await send();
    await database.query(`update views.idempotency set expires_at = now() - interval '1 second'`);
    expect(await send({ body: { name: 'b' } })).toMatchObject({ body: { id: 2 }, replayed: false });
  });

  it('leaves no readable answer in the table: it may hold a secret that is shown once', async () => {
    await send();
    const [row] = await database.query<{ answer: Buffer }[]>('select answer from views.idempotency');
    expect(row!.answer.toString('latin1')).not.toContain('shown once');
  });

  it('whose answer was encrypted under a key that is gone is carried out again', async () => {
    await send();
    store = new IdempotencyStore(database, keyring('b'));
    expect(await send()).toMatchObject({ body: { id: 2 }, replayed: false });
    expect(await send()).toMatchObject({ body: { id: 2 }, replayed: true });
  });

  it('is none without the header, and none for other methods', async () => {
    for (const sent of [{ key: undefined }, { method: 'PATCH' }, { method: 'GET' }]) {
      await send(sent as Sent);
      await send(sent as Sent);
    }
    expect(done).toBe(6);
    expect(await database.query('select * from views.idempotency')).toEqual([]);
  });
});
