import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { definePlugin } from '#libs/plugin-sdk/src/define-plugin.js';
import { defineProvider, type Provider } from '#libs/plugin-sdk/src/define-provider.js';

import { InboundServer } from '../../testing/inbound-server.js';

/** What somebody else's provider may do wrong while requests come in: none of it loses one, or ends the process. */
const good = {
  description: 'For specs.',
  verify: () => ({ ok: true, authentication: 'slug' }) as const,
  normalise: () => ({
    deliveryId: undefined,
    eventType: 'ping',
    events: [{ type: 'webhook.received', subject: 'spec', data: {} }],
  }),
};
const failing = (): never => {
  throw new Error('a bug');
};
const rejected = (): never => Promise.reject(new Error('a late bug')) as never;

const PROVIDERS: Readonly<Record<string, Partial<Provider>>> = {
  normalise_throws: { normalise: failing },
  normalise_rejects: { normalise: rejected },
  normalise_gives_nothing: { normalise: () => undefined as never },
  normalise_gives_no_list: { normalise: () => ({ eventType: 'x', events: {} }) as never },
  normalise_gives_no_text: {
    normalise: () => ({ eventType: {}, events: [{ type: 1, subject: 2, data: 3 }] }) as never,
  },
  respond_throws: { respond: failing },
  respond_rejects: { respond: rejected },
  respond_gives_no_answer: { respond: () => 'ok' as never },
  respond_refuses: { respond: () => ({ status: 500, body: '' }) },
  respond_says_nan: { respond: () => ({ status: Number.NaN, body: '' }) },
  respond_gives_an_object: { respond: () => ({ status: 200, body: {} }) as never },
  respond_splits_headers: { respond: () => ({ status: 200, body: '', contentType: 'text/plain\r\nx: y' }) },
};
const VERIFIERS: Readonly<Record<string, Partial<Provider>>> = {
  verify_throws: { verify: failing },
  verify_rejects: { verify: rejected },
  verify_gives_nothing: { verify: () => undefined as never },
  verify_gives_true: { verify: () => true as never },
  verify_gives_a_text: { verify: () => Promise.resolve('ok') as never },
  verify_says_ok_in_words: { verify: () => ({ ok: 'yes', authentication: 'x' }) as never },
  verify_names_no_authentication: { verify: () => ({ ok: true }) as never },
};
/** Never answers. */
const hanging = () => new Promise<never>(() => undefined);
const OTHERS: Readonly<Record<string, Partial<Provider>>> = {
  verify_hangs: { verify: hanging },
  verify_gives_an_unknown_reason: { verify: () => ({ ok: false, reason: 'bad_signature' }) as never },
  verify_is_a_thenable: {
    verify: () => ({ then: (done: (verdict: object) => void) => done({ ok: true, authentication: 'x' }) }) as never,
  },
};

describe('a provider with a bug', () => {
  let server: InboundServer;
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  beforeAll(async () => {
    process.on('unhandledRejection', hear);
    const providers = Object.entries({ ...PROVIDERS, ...VERIFIERS, ...OTHERS }).map(([name, broken]) =>
      defineProvider({ name, ...good, ...broken }),
    );
    server = await new InboundServer([definePlugin({ name: 'buggy', sdk: 1, providers })], [], undefined, 20).start();
  });
  afterAll(async () => {
    process.off('unhandledRejection', hear);
    await server.stop();
  });
  const post = async (provider: string) => {
    const { url } = await server.integration(provider);
    return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' });
  };

  it.each(Object.keys(PROVIDERS))('loses nothing: %s', async (provider) => {
    const before = (await server.received()).length;
    const answer = await post(provider);
    expect(answer.status).toBe(202);
    expect(await answer.json()).toEqual({ eventIds: [expect.stringMatching(/^evt_/)], duplicate: false });
    const received = (await server.received()).slice(before);
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({ type: 'webhook.received', data: { provider, payload: { a: 1 } } });
  });

  it.each(Object.keys(VERIFIERS))('believes nobody: %s', async (provider) => {
    const before = (await server.received()).length;
    const answer = await post(provider);
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ code: 'inbound.provider_failed' });
    expect(await server.received()).toHaveLength(before);
    const { fields, message } = server.lines.findLast(({ level }) => level === 'error')!;
    expect(message).toBe('a provider failed');
    expect(fields).toMatchObject({ provider, method: 'verify' });
    expect((fields as { err: Error }).err.stack).toContain('at ');
  });

  it('fills no log where strangers ask it again and again: its error is there once a minute', async () => {
    const errors = () => server.lines.filter(({ level, fields }) => level === 'error' && 'provider' in fields).length;
    server.clock.advance(60_000);
    const before = errors();
    for (let n = 0; n < 5; n++) await post('verify_throws');
    expect(errors()).toBe(before + 1);
    server.clock.advance(60_000);
    await post('verify_throws');
    expect(errors()).toBe(before + 2);
  });

  it('is refused with 401 where its reason is unknown, and the log says so', async () => {
    const answer = await post('verify_gives_an_unknown_reason');
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'inbound.signature_mismatch' }]);
    const { fields } = server.lines.findLast(({ level }) => level === 'error')!;
    expect((fields as { err: Error }).err.message).toContain(
      'signature_mismatch, stale, unavailable; it is bad_signature',
    );
  });

  it('is answered with 503 where verify hangs, with one line in the log a minute', async () => {
    const { id, url } = await server.integration('verify_hangs');
    const about = () => server.lines.filter(({ fields }) => (fields as { integration?: string }).integration === id);
    const ask = () => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    for (const answer of [await ask(), await ask()]) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10']);
      expect(await answer.json()).toMatchObject({ code: 'inbound.verify_timeout' });
    }
    const cause = expect.stringContaining('verify has not answered');
    expect(about()).toMatchObject([{ level: 'warn', fields: { code: 'inbound.verify_timeout', cause } }]);
    server.clock.advance(60_000);
    await ask();
    expect(about()).toHaveLength(2);
  });

  it('may give anything that can be awaited', async () => {
    expect((await post('verify_is_a_thenable')).status).toBe(202);
  });

  it('ends no process with a promise that nobody waits for', async () => {
    for (const provider of ['normalise_rejects', 'respond_rejects']) await post(provider);
    await new Promise((resolve) => setImmediate(resolve));
    expect(unheard).toEqual([]);
  });
});
