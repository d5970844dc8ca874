import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { scheduledWork } from '#libs/persistence/src/claims/scheduled-work.adapter.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';
import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';

import { useViews } from '../../../../test/support/views.js';
import { Follower } from '../../../persistence/testing/follower.js';
import { testSteps } from '../../testing/library.js';
import { WorkflowTable } from '../workflow/workflow.table.js';
import { FireTicks } from './fire-ticks.worker.js';
import { ScheduleController } from './schedule.controller.js';
import { ScheduleTicks } from './schedule.subscriber.js';
import { type NextTick, TICKS } from './tick-work.js';

const views = useViews();
const caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] } as Caller;
let clock: FixedClock;
let store: MemoryEventStore;
let follower: Follower;

beforeEach(() => {
  clock = new FixedClock('2026-11-20T08:00:30Z');
  store = new MemoryEventStore(() => clock.now());
  follower = new Follower(store, views.dataSource);
});

const subscriber = () => new ScheduleTicks(new PostgresWorkQueue(views.dataSource), testSteps);
const follow = (crash = false) => follower.run(subscriber(), crash);

async function append(type: string, data: object): Promise<void> {
  const event = newEvent({ type, data }, { id: uuid7(), orgId: 'org_1', actor: 'x', now: clock.now() });
  await store.append(streams.workflow('wf_1'), [event], 'any');
}
let version = 0;
async function save(trigger: string, more = ''): Promise<void> {
  const source = `name: report\n${more}triggers: [{ type: schedule, ${trigger} }]\nsteps: [{ wait: { for: 1s } }]\n# ${version}\n`;
  const data = { workflowId: 'wf_1', name: 'report', version: `v${++version}`, origin: 'api' };
  await append('workflow.saved', { ...data, number: version, source });
  await append('workflow.activated', data);
}
const stateOf = (type: 'paused' | 'resumed' | 'archived') =>
  append(`workflow.${type}`, { workflowId: 'wf_1', name: 'report', reason: 'x' });

async function rows(): Promise<readonly ClaimedWork<NextTick>[]> {
  const found = await views.dataSource.query<{ key: string; due_at: Date; payload: NextTick; position: string }[]>(
    'select * from views.work where queue = $1 order by key',
    [TICKS],
  );
  return found.map(({ key, due_at, payload, position }) => ({
    queue: TICKS,
    key,
    dueAt: due_at,
    payload,
    position: BigInt(position),
    claims: 1,
  }));
}
const next = async () => (await rows()).map(({ payload }) => payload.at);
let isArchived = false;
/** A worker of another process each time. */
const fire = (row: ClaimedWork<NextTick>, more: { store?: MemoryEventStore } = {}) =>
  new FireTicks({
    store: more.store ?? store,
    clock,
    progress: { whenProcessed: () => follow() },
    isArchived: () => isArchived,
    current: (key) => scheduledWork(views.dataSource, TICKS, key),
  }).run(row);
async function fireWhatIsDue(): Promise<void> {
  await follow();
  for (const row of await rows()) if (row.dueAt <= clock.now()) await fire(row);
  await follow();
}

async function ticks(): Promise<readonly string[]> {
  const { events } = await store.readAll({ limit: 1_000, filter: { types: ['schedule.fired', 'schedule.skipped'] } });
  return events.map((event: RecordedEvent) => {
    if (event.is('schedule.fired'))
      return `${event.data.at.slice(11, 16)}${event.data.late ? ` ${event.data.late}` : ''}`;
    const { from, to } = event.data as { from: string; to: string };
    return `skipped ${from.slice(11, 16)}-${to.slice(11, 16)}`;
  });
}
const HOUR = 3_600_000;

describe('a schedule', () => {
  it('has one row: its next tick, in its time zone', async () => {
    await save('cron: "0 9 * * *", timezone: Europe/Lisbon, jitter: 10s');
    await follow();
    const [row] = await rows();
    expect(row!.payload.at).toBe('2026-11-20T09:00:00.000Z');
    expect(row!.dueAt.getTime() - Date.parse(row!.payload.at)).toBeLessThan(10_000);
  });

  it('fires nothing while its organisation is archived, and then what catchup says', async () => {
    await save('every: 1h, catchup: last');
    await follow();
    clock.advance(3 * HOUR);
    const [row] = await rows();
    isArchived = true;
    expect(await fire(row!)).toMatchObject({ againAfterMs: 60_000 });
    isArchived = false;
    expect(await ticks()).toEqual([]);
    await fireWhatIsDue();
    expect(await ticks()).toEqual(['skipped 09:00-10:00', '11:00']);
  });

  it('fires each tick once, over processes that claim it together, die and come late', async () => {
    await save('every: 1h, catchup: all');
    await follow();
    clock.advance(HOUR);
    const [row] = await rows();
    await Promise.all([fire(row!), fire(row!)]);
    expect(await ticks()).toEqual(['09:00']);
    // The transaction that moves the row is lost after the append, and a slow worker still holds the old one.
    await follow(true);
    await fire(row!);
    await follow();
    await fire(row!);
    expect(await ticks()).toEqual(['09:00']);
    expect(await next()).toEqual(['2026-11-20T10:00:00.000Z']);
  });

  it('goes on in the middle of a catch-up after the process died', async () => {
    await save('every: 1h, catchup: all');
    await follow();
    clock.advance(3 * HOUR);
    const [row] = await rows();
    let appends = 0;
    const dying = Object.create(store, {
      append: {
        value: (...given: Parameters<MemoryEventStore['append']>) =>
          ++appends > 2 ? Promise.reject(new Error('killed')) : store.append(...given),
      },
    }) as MemoryEventStore;
    await expect(fire(row!, { store: dying })).rejects.toThrow('killed');
    expect(await ticks()).toEqual(['09:00 catchup', '10:00 catchup']);
    await fireWhatIsDue();
    expect(await ticks()).toEqual(['09:00 catchup', '10:00 catchup', '11:00']);
  });

  it('does not repeat ticks when the clock goes back', async () => {
    await save('every: 1h');
    await follow();
    clock.advance(HOUR);
    await fireWhatIsDue();
    clock.advance(-HOUR);
    await fireWhatIsDue();
    clock.advance(HOUR);
    await fireWhatIsDue();
    expect(await ticks()).toEqual(['09:00']);
  });

  it('says which ticks it left out', async () => {
    await save('every: 1h, catchup: none');
    await follow();
    clock.advance(4 * HOUR);
    await fireWhatIsDue();
    expect(await ticks()).toEqual(['skipped 09:00-11:00', '12:00']);
    expect(await next()).toEqual(['2026-11-20T13:00:00.000Z']);
  });

  it('keeps a tick that is due when the workflow is edited, and drops it when the times change', async () => {
    await save('every: 1h');
    await follow();
    clock.advance(HOUR);
    await save('every: 1h, catchup: none');
    await follow();
    expect(await next()).toEqual(['2026-11-20T09:00:00.000Z']);
    await save('every: 2h');
    await follow();
    expect(await next()).toEqual(['2026-11-20T10:00:00.000Z']);
    expect(await rows()).toHaveLength(1);
  });

  it('has no row while its workflow is paused or archived, and misses nothing on purpose afterwards', async () => {
    await save('every: 1h, catchup: all');
    await stateOf('paused');
    await follow();
    const [stale] = await rows();
    expect(stale).toBeUndefined();
    clock.advance(2 * HOUR);
    await stateOf('resumed');
    await follow();
    expect(await next()).toEqual(['2026-11-20T11:00:00.000Z']);
    await stateOf('archived');
    await follow();
    expect(await next()).toEqual([]);
  });

  it('comes to the same when the rows are rebuilt from the log', async () => {
    await save('every: 1h');
    await follow();
    clock.advance(HOUR);
    await fireWhatIsDue();
    const before = await next();
    await views.dataSource.query('delete from views.work');
    await follower.again(subscriber());
    expect(await next()).toEqual(before);
  });
});

describe('the routes of schedules', () => {
  async function controller(log = store): Promise<ScheduleController> {
    const table = new WorkflowTable(testSteps);
    const { events } = await store.readAll({ limit: 1_000 });
    for (const event of events) table.apply(event);
    return new ScheduleController(log, clock, table);
  }

  it('show the next ten times', async () => {
    await save('every: 1h');
    const shown = (await controller()).next(caller, 'report');
    expect(shown.schedules).toMatchObject([{ trigger: 'every 1h', index: 0 }]);
    expect(shown.schedules[0]!.next).toHaveLength(10);
    await stateOf('paused');
    expect((await controller()).next(caller, 'report')).toMatchObject({ paused: true, schedules: [{ next: [] }] });
    await stateOf('resumed');
    await save('every: 1h', 'disabled: true\n');
    expect((await controller()).next(caller, 'report')).toMatchObject({ disabled: true, schedules: [{ next: [] }] });
    await save('every: 1h');
    await stateOf('archived');
    expect((await controller()).next(caller, 'report')).toMatchObject({ archived: true, schedules: [{ next: [] }] });
  });

  it.each([
    ['paused', () => stateOf('paused')],
    ['disabled', () => save('every: 1h', 'disabled: true\n')],
    ['archived', () => stateOf('archived')],
  ] as const)('start nothing while the workflow is %s: its ticks would be lost', async (state, bring) => {
    await save('every: 1h');
    clock.advance(3 * HOUR);
    await bring();
    const body = { from: '2026-11-20T09:00:00Z', to: '2026-11-20T11:00:00Z' };
    const routes = await controller();
    expect(await routes.backfill(caller, 'report', { body })).toMatchObject({ count: 2 });
    await expect(routes.backfill(caller, 'report', { body: { ...body, count: 2 } })).rejects.toMatchObject({
      code: `workflow.${state}`,
      message: expect.stringContaining('before the backfill'),
    });
    expect(await ticks()).toEqual([]);
  });

  it('count no tick from before the workflow had the schedule', async () => {
    await save('every: 1h');
    clock.advance(2 * HOUR);
    await save('every: 1h, catchup: all');
    clock.advance(HOUR);
    const counted = async () => {
      const body = { from: '2020-01-01T00:00:00Z', to: clock.now().toISOString() };
      return (await (await controller()).backfill(caller, 'report', { body })).ticks.map(({ at }) => at.slice(11, 16));
    };
    expect(await counted()).toEqual(['09:00', '10:00', '11:00']);
    // The times changed and came back: those in between were nobody's.
    await save('every: 2h');
    clock.advance(2 * HOUR);
    await save('every: 1h');
    clock.advance(HOUR);
    expect(await counted()).toEqual(['14:00']);
    await stateOf('archived');
    clock.advance(HOUR);
    await save('every: 1h');
    expect(await counted()).toEqual([]);
  });

  it('go on where a backfill stopped when the same request comes again', async () => {
    await save('every: 1h');
    clock.advance(4 * HOUR);
    const body = { from: '2026-11-20T09:00:00Z', to: '2026-11-20T12:00:00Z', count: 3 };
    let appends = 0;
    const dying = Object.create(store, {
      append: {
        value: (...given: Parameters<MemoryEventStore['append']>) =>
          ++appends > 1 ? Promise.reject(new Error('killed')) : store.append(...given),
      },
    }) as MemoryEventStore;
    await expect((await controller(dying)).backfill(caller, 'report', { body })).rejects.toThrow('killed');
    expect(await (await controller()).backfill(caller, 'report', { body })).toMatchObject({ count: 2, started: true });
    expect(await (await controller()).backfill(caller, 'report', { body })).toMatchObject({ count: 0, started: true });
    expect(await ticks()).toEqual(['09:00 backfill', '10:00 backfill', '11:00 backfill']);
  });

  it('count what was missed before they start it, and start it once', async () => {
    await save('every: 1h, catchup: none');
    await follow();
    clock.advance(HOUR);
    await fireWhatIsDue();
    clock.advance(3 * HOUR);
    await fireWhatIsDue();
    const range = { from: '2026-11-20T09:00:00Z', to: '2026-11-20T12:00:00Z' };
    const routes = await controller();
    const counted = await routes.backfill(caller, 'report', { body: range });
    expect(counted).toMatchObject({ count: 2, started: false });
    await expect(routes.backfill(caller, 'report', { body: { ...range, count: 3 } })).rejects.toMatchObject({
      code: 'schedule.other_count',
    });
    const before = await next();
    expect(await routes.backfill(caller, 'report', { body: { ...range, count: 2 } })).toMatchObject({ started: true });
    expect(await ticks()).toEqual(['09:00', 'skipped 10:00-11:00', '12:00', '10:00 backfill', '11:00 backfill']);
    expect(await routes.backfill(caller, 'report', { body: range })).toMatchObject({ count: 0 });
    await follow();
    expect(await next()).toEqual(before);
    expect(follower.handled(followers.schedules)).toBeGreaterThan(0n);
  });

  it.each([
    [{ from: '2026-11-20T09:00:00Z', to: '2026-11-20T08:00:00Z' }, 'schedule.bad_range'],
    [{ from: '2026-11-20T08:00:00Z', to: '2026-11-21T08:00:00Z' }, 'schedule.bad_range'],
    [{ from: 'yesterday', to: '2026-11-20T08:00:00Z' }, 'schedule.bad_range'],
  ])('refuse the range %j', async (body, code) => {
    await save('every: 1h');
    await expect((await controller()).backfill(caller, 'report', { body })).rejects.toMatchObject({ code });
  });

  it('refuse a range with more than 1,000 ticks', async () => {
    await save('every: 1h');
    clock.advance(1_001 * HOUR);
    const body = { from: '2026-11-20T08:00:00Z', to: clock.now().toISOString() };
    await expect((await controller()).backfill(caller, 'report', { body })).rejects.toMatchObject({
      code: 'schedule.too_many_ticks',
    });
  });
});
