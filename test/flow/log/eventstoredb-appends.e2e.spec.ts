import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { streams } from '#libs/events/src/streams.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { EventStoreDbDouble } from '../../../libs/event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { Receiver } from '../../support/receiver.js';
import { TestServer } from '../../support/server.js';

/** The stream's kind, with the prefix of the installation. */
const kindOf = (stream: string): string => stream.slice(0, stream.indexOf('-'));
const [INBOUND, DECISIONS, DELIVERY] = [
  streams.inbound('int_x', 'x'),
  streams.decisions('x'),
  streams.delivery('x'),
].map((stream) => `millrace.${kindOf(stream)}`);

describe('a webhook that a rule sends on, with the log in EventStoreDB', () => {
  let double: EventStoreDbDouble;
  let database: TestDatabase;
  let receiver: Receiver;
  let server: TestServer;
  let inbound: string;

  beforeAll(async () => {
    double = await EventStoreDbDouble.start();
    database = await createTestDatabase();
    receiver = await Receiver.start();
    server = await TestServer.start({
      databaseUrl: database.url,
      env: { EVENTSTORE_URL: double.connectionString, MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') },
    });
    const integration = { name: 'hook', provider: 'generic_webhook' };
    inbound = (await server.post<{ url: string }>('/api/v1/integrations', integration)).url;
    const target = { url: `${receiver.url}/hook`, events: ['release.published'] };
    const { id: webhook } = await server.post<{ id: string }>('/api/v1/outbound-webhooks', target);
    await server.post('/api/v1/rules', {
      name: 'pass on',
      eventType: 'webhook.received',
      conditions: { field: 'data.payload.severity', operator: 'equals', value: 'critical' },
      actions: [{ type: 'send_webhook', with: { webhook } }],
    });
    // What a rule appends once only.
    await send(1, 'first');
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await receiver.stop();
    await double.stop();
    await database.drop();
  });

  const send = async (count: number, name: string): Promise<void> => {
    const before = receiver.calls.length;
    for (let n = 0; n < count; n++) {
      const body = JSON.stringify({ severity: 'critical', id: `${name}-${n}` });
      const answer = await fetch(inbound, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      expect(answer.status).toBe(202);
    }
    await waitFor('the deliveries', () => receiver.calls.length === before + count);
    await waitFor('their outcomes', async () => {
      const { data } = await server.get<{ data: object[] }>('/api/v1/deliveries?status=pending&limit=1');
      return data.length === 0;
    });
  };

  /** Appends by the kind of stream: events of one append have the position of its first. */
  const appends = (): ReadonlyMap<string, number> => {
    const own = double.log.all.filter(({ stream }) => !stream.startsWith('$'));
    const kinds = [...new Map(own.map(({ transaction, stream }) => [transaction, kindOf(stream)])).values()];
    return new Map([...new Set(kinds)].map((kind) => [kind, kinds.filter((one) => one === kind).length]));
  };

  it('takes three appends: the event, the decision with its request, the attempt with its outcome', async () => {
    const before = appends();
    await send(25, 'more');
    const added = [...appends()].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const);
    expect(Object.fromEntries(added.filter(([, count]) => count > 0))).toEqual({
      [INBOUND!]: 25,
      [DECISIONS!]: 25,
      [DELIVERY!]: 25,
    });
  });
});
