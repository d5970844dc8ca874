import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { defineProvider } from '#libs/plugin-sdk/src/define-provider.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { InboundServer } from '../../testing/inbound-server.js';

const json = { 'content-type': 'application/json' };
const post = (url: string, body: string, headers: Record<string, string>): Promise<Response> =>
  fetch(url, { method: 'POST', body, headers });
const receiptOf = async (answer: Response): Promise<{ eventIds: string[]; duplicate: boolean }> => {
  expect(answer.status).toBe(202);
  return (await answer.json()) as { eventIds: string[]; duplicate: boolean };
};

describe('several elements in one request', () => {
  /** Takes the delivery id from the body. */
  const idInBody = defineProvider({
    name: 'id_in_body',
    description: 'For specs.',
    verify: () => ({ ok: true, authentication: 'none' }),
    normalise: ({ value }) => ({
      deliveryId: (value as { id?: string }).id,
      eventType: 'odd',
      events: [{ type: 'webhook.received', subject: '', data: {} }],
    }),
  });
  /** Fails the appends whose number it is told. */
  class Flaky extends MemoryEventStore {
    inbound = 0;
    failing = new Set<number>();
    override append(...given: Parameters<MemoryEventStore['append']>) {
      return streams.isInbound(given[0]) && this.failing.has(++this.inbound)
        ? Promise.reject(new Transient('log.unavailable', 'away'))
        : super.append(...given);
    }
  }
  const store = new Flaky();
  let many: InboundServer;
  beforeAll(async () => {
    many = await new InboundServer(
      [builtInProviders, { name: 'ids', sdk: 1, providers: [idInBody] }],
      [],
      store,
    ).start();
  });
  afterAll(() => many.stop());
  beforeEach(() => {
    store.inbound = 0;
    store.failing = new Set();
  });

  const kinds = {
    ndjson: (elements: readonly object[]) => elements.map((one) => JSON.stringify(one)).join('\n'),
    'cloudevents-batch+json': (elements: readonly object[]) => JSON.stringify(elements),
  } as const;
  type Kind = keyof typeof kinds;
  const both = (Object.keys(kinds) as Kind[]).map((kind) => [kind]);
  const send = (kind: Kind, url: string, elements: readonly object[], headers: Record<string, string> = {}) =>
    post(url, kinds[kind](elements), { 'content-type': `application/${kind}`, ...headers });
  const payloadsOf = async (id: string): Promise<unknown[]> =>
    (await many.received())
      .filter(({ metadata }) => metadata.actor === `integration/${id}`)
      .map(({ data }) => (data as { payload: unknown }).payload);
  const streamsOf = async (id: string): Promise<number> =>
    new Set(
      (await many.received())
        .filter(({ metadata }) => metadata.actor === `integration/${id}`)
        .map(({ stream }) => stream),
    ).size;
  const [one, two, three] = [{ a: 1 }, { a: 2 }, { a: 3 }];

  it.each(both)('of %s with one id for all are one delivery, in one append', async (kind) => {
    const { url, id } = await many.integration('generic_webhook');
    const key = { 'idempotency-key': 'k1' };
    const first = await receiptOf(await send(kind, url, [one, two, three], key));
    expect(first.duplicate).toBe(false);
    expect(new Set(first.eventIds).size).toBe(3);
    expect(await receiptOf(await send(kind, url, [one, two, three], key))).toEqual({ ...first, duplicate: true });
    expect(await payloadsOf(id)).toEqual([one, two, three]);
    expect(await streamsOf(id)).toBe(1);
  });

  it.each(both)('of %s with one id for all may come again with more of them, which are added', async (kind) => {
    const { url, id } = await many.integration('generic_webhook');
    const key = { 'idempotency-key': 'k1' };
    const first = await receiptOf(await send(kind, url, [one, two], key));
    const longer = await receiptOf(await send(kind, url, [one, two, three], key));
    expect(longer).toEqual({ eventIds: [...first.eventIds, expect.any(String)], duplicate: false });
    expect(await receiptOf(await send(kind, url, [one, two, three], key))).toEqual({ ...longer, duplicate: true });
    expect(await receiptOf(await send(kind, url, [one, two], key))).toEqual({ ...first, duplicate: true });
    expect(await payloadsOf(id)).toEqual([one, two, three]);
  });

  it.each(both)('of %s with ids of their own are told apart by them, whichever requests they come in', async (kind) => {
    const { url, id } = await many.integration('id_in_body');
    const [d1, d2, d3] = [{ id: 'd1' }, { id: 'd2' }, { id: 'd3' }];
    const first = await receiptOf(await send(kind, url, [d1, d2]));
    expect(first.duplicate).toBe(false);
    const other = await receiptOf(await send(kind, url, [d1, d3]));
    expect(other).toEqual({ eventIds: [first.eventIds[0], expect.any(String)], duplicate: false });
    expect(await receiptOf(await send(kind, url, [d2]))).toEqual({ eventIds: [first.eventIds[1]], duplicate: true });
    expect(await receiptOf(await post(url, '{"id":"d3"}', json))).toMatchObject({ duplicate: true });
    expect(await receiptOf(await send(kind, url, [d1, d2, d3]))).toMatchObject({ duplicate: true });
    expect(await payloadsOf(id)).toEqual([d1, d2, d3]);
    expect(await streamsOf(id)).toBe(3);
  });

  it.each(both)('of %s with the same id in the body are parts of one delivery, wherever they stand', async (kind) => {
    const { url, id } = await many.integration('id_in_body');
    const elements = [
      { id: 'd1', n: 1 },
      { id: 'd2', n: 2 },
      { id: 'd1', n: 3 },
    ];
    const first = await receiptOf(await send(kind, url, elements));
    expect(new Set(first.eventIds).size).toBe(3);
    expect(await receiptOf(await send(kind, url, elements))).toEqual({ ...first, duplicate: true });
    expect((await payloadsOf(id)).sort((a, b) => (a as { n: number }).n - (b as { n: number }).n)).toEqual(elements);
    expect(await streamsOf(id)).toBe(2);
  });

  it.each(both)('of %s are each asked for the dedupeKey', async (kind) => {
    const { url, id } = await many.integration('generic_webhook', { dedupeKey: 'alert' });
    const key = { 'idempotency-key': 'k1' };
    const first = await receiptOf(await send(kind, url, [{ alert: 7 }, { alert: 8 }], key));
    const other = { 'idempotency-key': 'k2' };
    expect(await receiptOf(await send(kind, url, [{ alert: 8 }, { alert: 9 }], other))).toEqual({
      eventIds: [first.eventIds[1], expect.any(String)],
      duplicate: false,
    });
    expect(await receiptOf(await post(url, '{"alert":7}', json))).toMatchObject({ duplicate: true });
    expect(await payloadsOf(id)).toEqual([{ alert: 7 }, { alert: 8 }, { alert: 9 }]);
  });

  it.each(both)('of %s without any id are new each time, together', async (kind) => {
    const { url, id } = await many.integration('generic_webhook');
    for (let time = 0; time < 2; time++)
      expect(await receiptOf(await send(kind, url, [one, two]))).toMatchObject({ duplicate: false });
    expect(await payloadsOf(id)).toEqual([one, two, one, two]);
    expect(await streamsOf(id)).toBe(2);
  });

  it.each(both)('of %s without any id are stored one by one where they are too many for one append', async (kind) => {
    const { url, id } = await many.integration('generic_webhook');
    const elements = Array.from({ length: 900 }, (_, n) => ({ n, text: 'x'.repeat(1000) }));
    const { eventIds } = await receiptOf(await send(kind, url, elements));
    expect(new Set(eventIds).size).toBe(900);
    expect(await streamsOf(id)).toBe(900);
  });

  it.each(both)('of %s of which only some could be stored are completed by the same request', async (kind) => {
    const { url, id } = await many.integration('id_in_body');
    const elements = ['d1', 'd2', 'd3'].map((name) => ({ id: name }));
    store.failing = new Set([2]);
    expect((await send(kind, url, elements)).status).toBe(503);
    expect(await payloadsOf(id)).toEqual([elements[0], elements[2]]);
    const { eventIds, duplicate } = await receiptOf(await send(kind, url, elements));
    expect([new Set(eventIds).size, duplicate]).toEqual([3, false]);
    expect(await payloadsOf(id)).toEqual([elements[0], elements[2], elements[1]]);
    expect(await receiptOf(await send(kind, url, elements))).toEqual({ eventIds, duplicate: true });
  });

  it('that are CloudEvents with the same source and id are one event', async () => {
    const { url, id } = await many.integration('cloudevents');
    const event = { specversion: '1.0', id: '1', source: '/orders', type: 'com.acme.shipped' };
    const batch = [event, { ...event, data: 'again' }, { ...event, id: '2' }];
    const first = await receiptOf(await send('cloudevents-batch+json', url, batch));
    expect([first.eventIds.length, first.duplicate]).toEqual([2, false]);
    expect(await receiptOf(await send('cloudevents-batch+json', url, batch))).toEqual({ ...first, duplicate: true });
    expect(await payloadsOf(id)).toEqual([batch[0], batch[2]]);
    // The integration's own key says what belongs together, not what is the same.
    const keyed = await many.integration('cloudevents', { dedupeKey: 'source' });
    await receiptOf(await send('cloudevents-batch+json', keyed.url, batch));
    expect(await payloadsOf(keyed.id)).toEqual([batch[0], batch[2]]);
    expect(await streamsOf(keyed.id)).toBe(1);
  });
});
