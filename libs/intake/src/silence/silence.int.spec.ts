import { beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';
import { genericWebhook } from '#libs/providers/src/generic-webhook.js';

import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { AUTHOR, InboundServer, NOW } from '../../testing/inbound-server.js';
import {
  DeleteIntegration,
  DisableIntegration,
  EnableIntegration,
  UpdateIntegration,
  disable,
  enable,
  remove,
  update,
} from '../integration/integration.js';
import { SILENCES, type SilenceTask, TellSilence } from './silence.js';
import { WatchSilence } from './silence.subscriber.js';

const HOUR = 3_600_000;

const views = useViews();

let server: InboundServer;
let subscriber: WatchSilence;
let follower: Follower;
let id: string;
let slug: string;

beforeEach(async () => {
  // The log takes its times from the clock that the test moves.
  const store: MemoryEventStore = new MemoryEventStore(() => server.clock.now());
  server = new InboundServer([{ name: 'generic', sdk: 1, providers: [genericWebhook] }], [], store);
  restart();
  follower = new Follower(store, views.dataSource);
  ({ id, slug } = await server.integration('generic_webhook', { expectedEvery: '1h' }));
  await follow();
});

/** Another instance, as after a crash: what it knows, it knows from the log. */
function restart(): void {
  subscriber = new WatchSilence(server.store, new PostgresWorkQueue(views.dataSource), server.clock);
}

const follow = () => follower.run(subscriber);

const receive = async (): Promise<void> => {
  const request = {
    headers: { 'content-type': 'application/json' },
    rawBody: Buffer.from('{}'),
    query: {},
    contentType: 'application/json',
    sourceIp: '::1',
  };
  await server.pipeline.receive(server.table.withSlug(slug)!, request);
};

async function expected(): Promise<ClaimedWork<SilenceTask> | undefined> {
  const rows = await views.dataSource.query<{ key: string; due_at: Date; payload: SilenceTask; position: string }[]>(
    'select key, due_at, payload, position from views.work where queue = $1',
    [SILENCES],
  );
  const [row] = rows;
  return (
    row && {
      queue: SILENCES,
      key: row.key,
      dueAt: row.due_at,
      payload: row.payload,
      position: BigInt(row.position),
      claims: 1,
    }
  );
}
const dueIn = async (): Promise<number | undefined> => {
  const work = await expected();
  return work && work.dueAt.getTime() - server.clock.now().getTime();
};

const worker = (beforeAppend = () => Promise.resolve()): TellSilence =>
  new TellSilence({
    store: server.store,
    clock: server.clock,
    progress: { whenProcessed: () => beforeAppend() },
    movedAt: async (integrationId) => {
      const [row] = await views.dataSource.query<{ position: string }[]>(
        'select position from views.integration_watch where integration_id = $1',
        [integrationId],
      );
      return row && BigInt(row.position);
    },
  });
const told = async () => {
  const { events } = await server.store.readAll({ limit: 10_000 });
  return events.filter(({ type }) => type === 'integration.silent' || type === 'integration.heard_again');
};
/** Nothing comes in until the row is due, and the worker tells. */
async function fallSilent(): Promise<void> {
  const work = (await expected())!;
  server.clock.advance(work.dueAt.getTime() - server.clock.now().getTime());
  await worker().run(work);
  await follow();
}

describe('an integration that says how often it expects something', () => {
  it('is due from the moment it is set up, and each time something comes in anew', async () => {
    expect(await dueIn()).toBe(HOUR);
    server.clock.advance(HOUR / 2);
    await receive();
    await receive();
    await follow();
    expect(await dueIn()).toBe(HOUR);
    expect((await expected())!.payload).toMatchObject({ integrationId: id, lastReceivedAt: expect.any(String) });
  });

  it('is told to be silent once, with when it was last heard of', async () => {
    server.clock.advance(60_000);
    await receive();
    await follow();
    const work = (await expected())!;
    await fallSilent();
    const [event, ...more] = await told();
    expect(more).toEqual([]);
    expect(event!.data).toEqual({
      integrationId: id,
      name: 'test',
      expectedEvery: '1h',
      lastReceivedAt: new Date(new Date(NOW).getTime() + 60_000).toISOString(),
    });
    expect(event!.metadata).toMatchObject({ orgId: AUTHOR.orgId, subject: `integration/${id}` });
    expect(await expected()).toBeUndefined();
    // The same work again, as after a crash before the row was removed.
    await worker().run({ ...work, claims: 2 });
    expect(await told()).toHaveLength(1);
  });

  it('is told to be heard of again once, whatever restarts happen, and then watched again', async () => {
    await fallSilent();
    server.clock.advance(2 * HOUR);
    const before = follower.handled(subscriber.name);
    await receive();
    await receive();
    await follow();
    restart();
    await follower.again(subscriber, before);
    const [, again, ...more] = await told();
    expect(more).toEqual([]);
    expect(again).toMatchObject({ type: 'integration.heard_again', data: { silentMs: 2 * HOUR } });
    expect(again!.metadata.$causationId).not.toBe(again!.id);
    expect(await dueIn()).toBe(HOUR);
    await fallSilent();
    expect((await told()).map(({ type }) => type)).toEqual([
      'integration.silent',
      'integration.heard_again',
      'integration.silent',
    ]);
  });

  it('is not told to be silent where something came in that had not been noticed yet', async () => {
    const work = (await expected())!;
    server.clock.advance(HOUR - 1);
    await receive();
    server.clock.advance(1);
    const { position } = await worker(() => follow()).run(work);
    expect(await told()).toEqual([]);
    // So that the row is due when it says now, not at once.
    expect(position).toBeGreaterThan(work.position);
    expect(position).toBeLessThanOrEqual((await expected())!.position);
    expect(await dueIn()).toBe(HOUR - 1);
  });

  it('is left alone while it is disabled, when it is deleted, and when it no longer says so', async () => {
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    await follow();
    expect(await expected()).toBeUndefined();
    server.clock.advance(10 * HOUR);
    await server.run(new EnableIntegration(id, AUTHOR), enable);
    await follow();
    expect(await dueIn()).toBe(HOUR);
    await server.run(new UpdateIntegration(id, AUTHOR, { expectedEvery: '2h' }, []), update);
    await follow();
    expect(await dueIn()).toBe(2 * HOUR);
    await server.run(new UpdateIntegration(id, AUTHOR, {}, ['expectedEvery']), update);
    await follow();
    expect(await expected()).toBeUndefined();
    await server.run(new UpdateIntegration(id, AUTHOR, { expectedEvery: '2h' }, []), update);
    await server.run(new DeleteIntegration(id, AUTHOR), remove);
    await follow();
    expect(await expected()).toBeUndefined();
    expect(await views.dataSource.query('select * from views.integration_watch')).toEqual([]);
  });

  it('is watched anew when it is enabled again, also where it was silent when it was disabled', async () => {
    await fallSilent();
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    await follow();
    expect(await views.dataSource.query('select 1 from views.integration_watch where silent_at is not null')).toEqual(
      [],
    );
    restart();
    await server.run(new EnableIntegration(id, AUTHOR), enable);
    await follow();
    expect(await dueIn()).toBe(HOUR);
    await fallSilent();
    expect((await told()).map(({ type }) => type)).toEqual(['integration.silent', 'integration.silent']);
    await receive();
    await follow();
    await follow();
    expect((await told()).map(({ type }) => type).at(-1)).toBe('integration.heard_again');
    expect(await dueIn()).toBe(HOUR);
  });

  it.each([
    ['disabled', () => server.run(new DisableIntegration(id, AUTHOR), disable)],
    ['deleted', () => server.run(new DeleteIntegration(id, AUTHOR), remove)],
  ])('is not told to be silent where it was %s a moment before', async (_, change) => {
    const work = (await expected())!;
    server.clock.advance(HOUR);
    await change();
    await worker(() => follow()).run(work);
    expect(await told()).toEqual([]);
  });

  it('that was told to be silent while it was being disabled is not silent when it is enabled again', async () => {
    const work = (await expected())!;
    server.clock.advance(HOUR);
    // Between the look at its row and the append.
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    await worker().run(work);
    await follow();
    await server.run(new EnableIntegration(id, AUTHOR), enable);
    await follow();
    expect(await views.dataSource.query('select 1 from views.integration_watch where silent_at is not null')).toEqual(
      [],
    );
    await fallSilent();
    expect((await told()).map(({ type }) => type)).toEqual(['integration.silent', 'integration.silent']);
  });

  it('costs nothing where nobody expects anything', async () => {
    const other = await server.integration('generic_webhook');
    await follow();
    ({ slug } = other);
    await receive();
    const { events } = await server.store.readAll({ limit: 10_000 });
    await subscriber.handle(events.slice(-1), {
      transaction: () => Promise.reject(new Error('a transaction was opened')),
      signal: new AbortController().signal,
    });
  });
});
