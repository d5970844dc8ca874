import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { EventStoreDbDouble } from '../../../libs/event-store/testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { SharedLog } from '../../../libs/event-store/testing/eventstoredb-double/shared-log.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { TestServer } from '../../support/server.js';

interface Health {
  readonly status: string;
  readonly subscribers: readonly { readonly name: string; readonly kind: string; readonly parked: number }[];
}

describe('a server on an EventStoreDB that others use too', () => {
  const log = new SharedLog();
  let double: EventStoreDbDouble;
  let databases: TestDatabase[];
  let servers: TestServer[];

  const start = (database: TestDatabase, prefix?: string): Promise<TestServer> =>
    TestServer.start({
      databaseUrl: database.url,
      env: {
        EVENTSTORE_URL: double.connectionString,
        MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
        ...(prefix !== undefined && { MILLRACE_STREAM_PREFIX: prefix }),
      },
    });

  beforeAll(async () => {
    double = await EventStoreDbDouble.start({ log });
    for (let n = 0; n < 20_000; n++) log.othersWrite();
    databases = await Promise.all([createTestDatabase(), createTestDatabase()]);
    servers = [await start(databases[0]!), await start(databases[1]!, 'staging.')];
  }, 120_000);
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await double.stop();
    await Promise.all(databases.map((database) => database.drop()));
  });

  const publish = async (server: TestServer): Promise<string> => {
    const { url } = await server.post<{ url: string }>('/api/v1/integrations', {
      name: 'hook',
      provider: 'generic_webhook',
    });
    const answer = await fetch(url, {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(202);
    return ((await answer.json()) as { eventIds: string[] }).eventIds[0]!;
  };
  const received = async (server: TestServer): Promise<string[]> =>
    (await server.list<{ id: string }>('/api/v1/events?type=webhook.received')).map(({ id }) => id);

  it('works as if it were alone, and two installations keep apart', async () => {
    const ids = [await publish(servers[0]!), await publish(servers[1]!)];
    for (const [n, server] of servers.entries()) {
      await waitFor('the event', async () => (await received(server)).includes(ids[n]!));
      expect(await received(server)).toEqual([ids[n]]);
      expect(await server.get<Health>('/readyz')).toMatchObject({ status: 'ready' });
    }
  });

  it('sets aside what others wrote to its own streams, names it, and stays ready', async () => {
    const [server] = servers;
    const ids = [uuid7(), uuid7(), uuid7()];
    double.append('garbage', 'webhook.received', Buffer.from([0, 255, 254]), ids[0]!, { metadata: '' });
    double.append(streams.run('x'), 'run.started', { any: 'thing' }, ids[1]!, { metadata: '{"user":"them"}' });
    double.append(streams.agent('x'), 'agent.registered', Buffer.alloc(0), ids[2]!, { metadata: 'cut {' });
    const id = await publish(server!);
    await waitFor('the event after the garbage', async () => (await received(server!)).includes(id));
    const { data } = await server!.get<{ data: { reason: string }[] }>('/api/v1/subscribers/audit.events/parked');
    expect(data.map(({ reason }) => reason)).toEqual([
      `event ${ids[0]} cannot be read (stream garbage, revision 0): its metadata is empty`,
      `event ${ids[1]} cannot be read (stream ${streams.run('x')}, revision 0): its metadata is not that of an event of this program`,
      `event ${ids[2]} cannot be read (stream ${streams.agent('x')}, revision 0): its metadata is not JSON`,
    ]);
    const parked = async () => {
      const health = await server!.get<Health>('/readyz');
      expect(health.status).toBe('ready');
      return health.subscribers.find(({ name }) => name === 'audit.events')!.parked;
    };
    await waitFor('the count of parked events', async () => (await parked()) === 3);
    expect(await server!.text('/metrics')).toContain('millrace_subscriber_parked_events{subscriber="audit.events"} 3');
  });
});
