import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';
import {
  type Asked,
  defineProvider,
  type ReconcileContext,
  type Reconciliation,
} from '#libs/plugin-sdk/src/define-provider.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { AUTHOR, InboundServer } from '../../testing/inbound-server.js';
import { DisableIntegration, UpdateIntegration, disable, update } from '../integration/integration.js';
import { ReconcileController } from './reconcile.controller.js';
import {
  RECONCILE_EVERY_MS,
  ReconcileIntegrations,
  Reconciler,
  type ReconcileTask,
  RECONCILIATIONS,
} from './reconcile.js';
import { ScheduleReconciliations } from './reconcile.subscriber.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['integrator'] };
const DAY = 86_400_000;
const HOUR = 3_600_000;

let asked: ReconcileContext[];
let answer: (context: ReconcileContext) => Promise<Reconciliation>;
/** A sender that can be asked; what it says is the test's. */
const sender = defineProvider({
  name: 'sender',
  description: 'For specs.',
  config: { properties: { token: { type: 'string' } } },
  verify: () => ({ ok: true, authentication: 'slug' }),
  normalise: ({ request }) => ({
    deliveryId: request.headers['x-id'],
    eventType: 'x',
    events: [{ type: 'webhook.received', subject: '', data: {} }],
  }),
  reconcile: {
    needs: ['token'],
    run: (context) => {
      asked.push(context);
      return answer(context);
    },
  },
});
const plugins = [{ name: 'specs', sdk: 1 as const, providers: [sender] }];

const views = useViews();

let server: InboundServer;
let subscriber: ScheduleReconciliations;
let reconciler: Reconciler;
let worker: ReconcileIntegrations;
let follower: Follower;
const archived = new Set<string>();
let id: string;

beforeEach(async () => {
  asked = [];
  answer = () => Promise.resolve({ checked: 0, missing: [] });
  const store: MemoryEventStore = new MemoryEventStore(() => server.clock.now());
  server = new InboundServer(plugins, [], store);
  subscriber = new ScheduleReconciliations(new PostgresWorkQueue(views.dataSource), new Plugins(plugins));
  const { clock, table } = server;
  const http = { request: () => Promise.reject(new Error('not here')) };
  const { providers } = new Plugins(plugins);
  reconciler = new Reconciler({ store, clock, http, providers, receiver: (one) => table.withId(one) });
  worker = new ReconcileIntegrations(
    reconciler,
    (one) => table.withId(one),
    (orgId) => archived.has(orgId),
  );
  archived.clear();
  follower = new Follower(store, views.dataSource);
  ({ id } = await server.integration('sender', { config: { token: 't' } }));
  await follow();
});

const follow = () => follower.run(subscriber);

async function scheduled(): Promise<ClaimedWork<ReconcileTask> | undefined> {
  const [row] = await views.dataSource.query<{ key: string; due_at: Date; payload: ReconcileTask; position: string }[]>(
    'select key, due_at, payload, position from views.work where queue = $1',
    [RECONCILIATIONS],
  );
  return (
    row && {
      queue: RECONCILIATIONS,
      key: row.key,
      dueAt: row.due_at,
      payload: row.payload,
      position: BigInt(row.position),
      claims: 1,
    }
  );
}
const dueIn = async () => (await scheduled())!.dueAt.getTime() - server.clock.now().getTime();
const outcomes = async () => {
  const { events } = await server.store.readAll({ limit: 10_000 });
  return events.filter((event) => event.is('integration.reconciled'));
};
const signal = new AbortController().signal;
/** Waits as the progress of the runner does: until it is handled. */
const progress = { whenProcessed: () => follow() };
const controller = () => new ReconcileController(server.table, reconciler, progress);

describe('an integration whose sender can be asked', () => {
  it('is not asked while its organisation is archived, and asked again afterwards', async () => {
    const [before] = [await scheduled()];
    archived.add('org_1');
    expect(await worker.run(before!, signal)).toMatchObject({ againAfterMs: RECONCILE_EVERY_MS });
    expect(asked).toEqual([]);
    archived.clear();
    await worker.run(before!, signal);
    expect(asked).toHaveLength(1);
  });

  it('is reconciled at once, and every ten minutes after', async () => {
    expect(await dueIn()).toBe(0);
    answer = () => Promise.resolve({ checked: 3, missing: [{ deliveryId: 'd1', eventType: 'push', requested: true }] });
    await worker.run((await scheduled())!, signal);
    await follow();
    expect((await outcomes())[0]!.data).toEqual({
      integrationId: id,
      checked: 3,
      missing: [{ deliveryId: 'd1', eventType: 'push', requested: true }],
      startedAt: server.clock.now().toISOString(),
    });
    expect(await dueIn()).toBe(RECONCILE_EVERY_MS);
  });

  it('is asked for three days at first, and then for what came since, with an overlap', async () => {
    const first = server.clock.now().getTime();
    await worker.run((await scheduled())!, signal);
    await follow();
    server.clock.advance(DAY);
    await worker.run((await scheduled())!, signal);
    await follow();
    expect(asked.map(({ since }) => first - since.getTime())).toEqual([3 * DAY, 3_600_000]);
  });

  it('is asked for as much again where it could not be gone through to the end, and no sooner than it says', async () => {
    answer = () =>
      Promise.resolve({
        checked: 0,
        missing: [],
        failure: { code: 'rate_limited', detail: 'wait', retryAfterMs: 3_600_000 },
      });
    await worker.run((await scheduled())!, signal);
    await follow();
    expect(await dueIn()).toBe(3_600_000);
    expect((await scheduled())!.payload).toMatchObject({ runs: 1, completeAt: null });
  });

  it('is asked at longer and longer intervals while it fails, and as before when it no longer does', async () => {
    const failure = { code: 'unauthorised', detail: 'no' };
    const look = async (outcome: Reconciliation): Promise<number> => {
      answer = () => Promise.resolve(outcome);
      server.clock.advance(Math.max(0, await dueIn()));
      await worker.run((await scheduled())!, signal);
      await follow();
      return (await dueIn()) / 60_000;
    };
    const failed = { checked: 0, missing: [], failure };
    const pauses: number[] = [];
    for (let times = 0; times < 8; times++) pauses.push(await look(failed));
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 360, 360]);
    expect(await look({ checked: 0, missing: [] })).toBe(10);
    expect([await look(failed), await look(failed), await look(failed)]).toEqual([10, 20, 40]);
    // Nobody makes it wait for ever.
    expect(await look({ ...failed, failure: { ...failure, retryAfterMs: 365 * DAY } })).toBe(24 * 60);
  });

  it('is asked for as much again where more is missing than could be asked for', async () => {
    answer = () => Promise.resolve({ checked: 3, missing: [], more: true });
    await worker.run((await scheduled())!, signal);
    await follow();
    expect((await scheduled())!.payload).toMatchObject({ runs: 1, completeAt: null });
    expect(await dueIn()).toBe(RECONCILE_EVERY_MS);
    expect((await outcomes())[0]!.data).toMatchObject({ more: true });
  });

  it('is asked for as far back as something is missing, three days at most, also after looks that fail', async () => {
    const first = server.clock.now().getTime();
    const failure = { code: 'unreachable', detail: 'no' };
    const missing = (hours: number) => ({ checked: 1, missing: [], openSince: new Date(first - hours * HOUR) });
    const hoursBack = async (outcome: Reconciliation, byHand = false): Promise<number> => {
      answer = () => Promise.resolve(outcome);
      if (byHand) await controller().reconcile(caller, id);
      else {
        await worker.run((await scheduled())!, signal);
        await follow();
      }
      return (first - asked.at(-1)!.since.getTime()) / HOUR;
    };
    expect(await hoursBack(missing(30))).toBe(72);
    expect((await outcomes())[0]!.data).toMatchObject({ openSince: new Date(first - 30 * HOUR).toISOString() });
    expect(await hoursBack({ checked: 0, missing: [], failure })).toBe(30);
    expect(await hoursBack({ ...missing(2), failure })).toBe(30);
    expect(await hoursBack({ checked: 0, missing: [], failure }, true)).toBe(72);
    expect(await hoursBack(missing(40))).toBe(30);
    expect(await hoursBack(missing(0.5))).toBe(40);
    expect(await hoursBack({ checked: 0, missing: [] })).toBe(1);
    expect(await hoursBack(missing(50))).toBe(1);
    server.clock.advance(30 * HOUR);
    expect(await hoursBack({ checked: 0, missing: [] })).toBe(72 - 30);
  });

  it('goes on from a look that saw as much as can be seen, in ten minutes', async () => {
    const failure = { code: 'too_many', detail: 'more than can be looked at' };
    answer = () => Promise.resolve({ checked: 20_000, missing: [], failure });
    await worker.run((await scheduled())!, signal);
    await follow();
    expect((await scheduled())!.payload).toMatchObject({ completeAt: server.clock.now().toISOString() });
    expect(await dueIn()).toBe(RECONCILE_EVERY_MS);
    expect((await outcomes())[0]!.data).toMatchObject({ failure });
  });

  it('is told how often and when it was asked for each delivery, but not by hand, where all counts anew', async () => {
    const missing = [
      { deliveryId: 'd1', eventType: 'push', requested: true },
      { deliveryId: 'd2', eventType: 'push', requested: false },
      { deliveryId: 'd3', eventType: 'push', requested: false, refused: true },
    ];
    let before: ReadonlyMap<string, Asked> = new Map();
    answer = async (context) => {
      before = await context.asked(['d1', 'd2', 'd3', 'd4']);
      return { checked: 2, missing };
    };
    const look = async () => {
      await worker.run((await scheduled())!, signal);
      await follow();
      return [...before];
    };
    expect(await look()).toEqual([]);
    for (let times = 1; times < 120; times++) {
      const last = server.clock.now();
      server.clock.advance(RECONCILE_EVERY_MS);
      expect(await look()).toEqual(['d1', 'd3'].map((one) => [one, { times, last }]));
    }
    await controller().reconcile(caller, id);
    expect([...before]).toEqual([]);
    // What was asked for earlier is of no interest: the sender has forgotten it.
    server.clock.advance(3 * DAY + 2 * HOUR);
    expect(await look()).toEqual([]);
  });

  it('is told which deliveries are in the log', async () => {
    const { slug } = server.table.withId(id)!;
    const request = { headers: { 'x-id': 'd1', 'content-type': 'application/json' }, rawBody: Buffer.from('{}') };
    await server.pipeline.receive(server.table.withSlug(slug)!, {
      ...request,
      query: {},
      contentType: 'application/json',
      sourceIp: '::1',
    });
    let seen: ReadonlySet<string> = new Set();
    answer = async (context) => {
      seen = await context.seen(['d1', 'd2']);
      return { checked: 2, missing: [] };
    };
    await worker.run((await scheduled())!, signal);
    expect([...seen]).toEqual(['d1']);
  });

  it('has one outcome of each run, also where the process died before its row was moved', async () => {
    const work = (await scheduled())!;
    await worker.run(work, signal);
    const again = await worker.run({ ...work, claims: 2 }, signal);
    const recorded = await outcomes();
    expect(recorded).toHaveLength(1);
    expect(again.position).toBe(recorded[0]!.position);
  });

  it('is left alone while it is disabled or cannot be asked', async () => {
    await server.run(new UpdateIntegration(id, AUTHOR, { config: {} }, []), update);
    await follow();
    expect(await scheduled()).toBeUndefined();
    await server.run(new UpdateIntegration(id, AUTHOR, { config: { token: 't' } }, []), update);
    await follow();
    expect(await scheduled()).toBeDefined();
    // By which the log knows its deliveries, and the sender does not.
    await server.run(new UpdateIntegration(id, AUTHOR, { dedupeKey: 'id' }, []), update);
    await follow();
    expect(await scheduled()).toBeUndefined();
    expect(await reconciler.ask(id, { completeAt: null }, signal)).toBeUndefined();
    await server.run(new UpdateIntegration(id, AUTHOR, {}, ['dedupeKey']), update);
    await follow();
    expect(await scheduled()).toBeDefined();
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    await follow();
    expect(await scheduled()).toBeUndefined();
  });

  it('can be reconciled at any time, and the time after that counts from it', async () => {
    answer = () => Promise.resolve({ checked: 1, missing: [] });
    expect(await controller().reconcile(caller, id)).toMatchObject({ checked: 1, missing: [] });
    const before = (await scheduled())!;
    expect(await controller().reconcile(caller, id)).toMatchObject({ checked: 1 });
    expect((await outcomes()).map(({ metadata }) => metadata.actor)).toEqual(['token/tok_1', 'token/tok_1']);
    // A run that was under way meanwhile has lost its place: what it found was found by hand.
    await worker.run(before, signal);
    expect(await outcomes()).toHaveLength(2);
    expect((await scheduled())!.payload.runs).toBe(2);
    expect(await dueIn()).toBe(RECONCILE_EVERY_MS);
  });

  it('is as unknown to another organisation as one that never was, and says so where it cannot be asked', async () => {
    await expect(controller().reconcile({ ...caller, orgId: 'org_2' }, id)).rejects.toMatchObject({
      code: 'integration.not_found',
    });
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    await expect(controller().reconcile(caller, id)).rejects.toMatchObject({ code: 'integration.not_reconcilable' });
  });
});
