import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { streams } from '#libs/events/src/streams.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { Json } from '#libs/kernel/src/json.js';
import { anyCharacter } from '#libs/kernel/testing/any-character.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { AUTHOR, githubHeaders, InboundServer, signature } from '../../testing/inbound-server.js';
import { RotateSecret, rotateSecret } from '../integration/integration.js';
import type { Receiver } from '../integration/integration.table.js';
import type { InterpretedRequest } from './interpret-request.js';
import { Refusal } from './refusal.js';

const request = (headers: Record<string, string>, body: Buffer | string) => ({
  headers,
  rawBody: Buffer.from(body),
  query: {},
  contentType: headers['content-type'] ?? '',
  sourceIp: '127.0.0.1',
});

const idsOf = ({ deliveries }: InterpretedRequest) => deliveries.flatMap(({ events }) => events.map(({ id }) => id));

describe('the inbound pipeline', () => {
  let server: InboundServer;
  let signed: Receiver;
  let open: Receiver;
  beforeAll(async () => {
    server = new InboundServer([builtInProviders]);
    signed = server.table.withSlug((await server.integration('github', { secret: 'secret-1' })).slug)!;
    open = server.table.withSlug((await server.integration('generic_webhook')).slug)!;
  });
  const examine = (receiver: Receiver, headers: Record<string, string>, body: Buffer | string) =>
    server.pipeline.examine(receiver, request(headers, body), server.clock.now());

  it('marks what the integration declares as personal, in the neutral fields and in the payload', async () => {
    const body = JSON.stringify({
      sender: { login: 'jane-doe' },
      issue: { number: 1, title: 'x', user: { login: 'jane-doe' } },
    });
    const headers = githubHeaders('issues', body, 'secret-1');
    const eventOf = async (receiver: Receiver) => {
      const examined = await examine(receiver, headers, body);
      if (examined instanceof Refusal) throw new Error('refused');
      return examined.deliveries[0]!.events[0]!;
    };
    expect((await eventOf(signed)).personal).toBeUndefined();
    const { personal } = await eventOf({ ...signed, personal: true });
    expect(personal).toMatchObject([
      { subjects: ['jane-doe'], fields: expect.arrayContaining([['payload'], ['author']]) },
    ]);
    const own = [{ subject: 'data.payload.issue.number', fields: ['data.payload.issue.title'] }];
    expect((await eventOf({ ...signed, personal: own })).personal).toEqual([
      { subjects: ['1'], fields: [['payload', 'issue', 'title']] },
    ]);
  });

  it('answers any headers and bytes with a refusal or an event, and never throws', async () => {
    const name = fc.constantFrom(
      'content-type',
      'x-github-event',
      'x-github-delivery',
      'x-hub-signature-256',
      'x-webhook-signature',
      'authorization',
      'idempotency-key',
      'x-event-type',
      'content-encoding',
    );
    const value = fc.oneof(
      fc.constantFrom(
        'application/json',
        'application/x-ndjson',
        'application/x-www-form-urlencoded',
        'push',
        'sha256=',
      ),
      fc.string({ unit: anyCharacter }),
    );
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, value), body, async (headers, bytes) => {
        for (const receiver of [signed, open]) {
          const outcome = await server.pipeline.receive(receiver, request(headers, bytes));
          if (outcome instanceof Refusal) expect(outcome.status).toBeLessThan(500);
          else expect(outcome.eventIds.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('derives the ids of events from integration, delivery and place alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: anyCharacter, minLength: 1 }),
        fc.jsonValue(),
        fc.jsonValue(),
        async (key, one, two) => {
          const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': key };
          const [first, second] = await Promise.all(
            [one, two].map((value) => examine(open, headers, `${JSON.stringify(value as Json)}\n0`)),
          );
          if (first instanceof Refusal || second instanceof Refusal) throw new Error('refused');
          expect(first!.deliveries[0]!.stream).toBe(second!.deliveries[0]!.stream);
          const root = uuid5('inbound', open.id, key);
          expect(idsOf(first!)).toEqual([root, uuid5('inbound', root, '1')]);
          expect(idsOf(second!)).toEqual(idsOf(first!));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('derives no two ids from integrations and deliveries whose names only run together alike', async () => {
    const pairs = fc.tuple(fc.string(), fc.string());
    fc.assert(
      fc.property(pairs, pairs, ([a, b], [c, d]) => {
        fc.pre(a !== c || b !== d);
        fc.pre(![a, b, c, d].some((text) => text.includes('\0')));
        expect(streams.inbound(a, b)).not.toBe(streams.inbound(c, d));
      }),
    );
    await Promise.resolve();
  });

  it('writes data that is JSON and has the payload as it was sent, whatever that is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (body) => {
        const outcome = await examine(open, { 'content-type': 'application/json' }, body);
        if (outcome instanceof Refusal) throw new Error(outcome.code);
        const { data, metadata } = outcome.deliveries[0]!.events[0]!;
        expect(data.endsWith(`,"payload":${body}}`)).toBe(true);
        expect((JSON.parse(data) as { payload: unknown }).payload).toEqual(JSON.parse(body));
        expect(JSON.parse(metadata)).toMatchObject({ source: 'generic_webhook', orgId: AUTHOR.orgId, hop: 0 });
      }),
    );
  });

  it('accepts the secret from before while its grace lasts, and then no more', async () => {
    const { id, slug } = await server.integration('github', { secret: 'old-secret' });
    await server.secrets.put(AUTHOR.orgId, 'ref/new', 'new-secret');
    await server.run(new RotateSecret(id, AUTHOR, 'ref/new', 60), rotateSecret);
    const receiver = server.table.withSlug(slug)!;
    const trySecret = async (secret: string) => {
      const outcome = await examine(receiver, githubHeaders('ping', '{}', secret), '{}');
      return outcome instanceof Refusal ? outcome.code : 'accepted';
    };
    expect([await trySecret('old-secret'), await trySecret('new-secret'), await trySecret('other')]).toEqual([
      'accepted',
      'accepted',
      'inbound.signature_mismatch',
    ]);
    server.clock.advance(60_000);
    expect([await trySecret('old-secret'), await trySecret('new-secret')]).toEqual([
      'inbound.signature_mismatch',
      'accepted',
    ]);
  });

  it('takes the time of the event from the sender where it is one, else its own', async () => {
    const at = async (pushed_at: Json) => {
      const body = JSON.stringify({ ref: 'refs/heads/main', repository: { full_name: 'a/b', pushed_at } });
      const outcome = await examine(signed, githubHeaders('push', body, 'secret-1'), body);
      if (outcome instanceof Refusal) throw new Error(outcome.code);
      return (JSON.parse(outcome.deliveries[0]!.events[0]!.metadata) as { timestamp: string }).timestamp;
    };
    expect(await at(1_760_000_000)).toBe('2025-10-09T08:53:20.000Z');
    for (const nonsense of [-1e15, 9e15, 'yesterday', null, {}])
      expect(await at(nonsense)).toBe(server.clock.now().toISOString());
  });

  it('looks at the signature before it parses', async () => {
    const outcome = await examine(
      signed,
      { 'content-type': 'application/json', 'x-hub-signature-256': signature('{', 'other') },
      '{',
    );
    expect(outcome).toMatchObject({ code: 'inbound.signature_mismatch' });
  });
});
