import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';

import type { Caller } from '#libs/access/src/caller.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { FixedClock } from '#libs/kernel/src/clock.js';

import { EventViewController } from './event-view.controller.js';
import { eventView, removeEventView, SaveEventView, saveEventView } from './event-view.js';
import { EventViewTable } from './event-view.table.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['auditor'] };
const stranger: Caller = { ...caller, orgId: 'org_2', actor: 'token/tok_2' };

let store: MemoryEventStore;
let table: EventViewTable;
let routes: EventViewController;
beforeEach(() => {
  const clock = new FixedClock('2026-11-30T13:00:00.000Z');
  store = new MemoryEventStore(() => clock.now());
  table = new EventViewTable();
  const commands = {
    execute: (command: ThingCommand) =>
      execute(
        store,
        clock,
        eventView,
        (command instanceof SaveEventView ? saveEventView : removeEventView) as never,
        command as never,
      ),
  } as unknown as CommandBus;
  const progress = {
    whenProcessed: async () => {
      table.clear();
      for (const event of (await store.readAll({ limit: 1_000 })).events) table.apply(event);
    },
  };
  routes = new EventViewController(commands, progress, table);
});

const count = async (): Promise<number> => (await store.readAll({ limit: 1_000 })).events.length;
const failed = { name: 'failed', filter: { type: 'webhook.failed', text: 'timeout' } };

describe('a saved view', () => {
  it('is saved, listed, changed and removed', async () => {
    const saved = { ...failed, createdBy: 'token/tok_1', updatedAt: '2026-11-30T13:00:00.000Z' };
    expect(await routes.create(caller, failed)).toEqual(saved);
    expect(routes.view(caller, 'failed')).toEqual(saved);
    await routes.create(caller, { name: 'all', filter: { type: '*' } });
    expect(routes.list(caller)).toMatchObject({ data: [{ name: 'all' }, { name: 'failed' }], nextCursor: null });
    expect(await routes.change(caller, 'failed', { filter: { type: 'workflow.failed' } })).toMatchObject({
      filter: { type: 'workflow.failed' },
    });
    await routes.remove(caller, 'failed');
    expect(() => routes.view(caller, 'failed')).toThrow('There is no saved view failed.');
    await routes.create(caller, failed);
    expect(routes.view(caller, 'failed')).toEqual(saved);
  });

  it('changes nothing where it is the same, and is not replaced by another that is new', async () => {
    await routes.create(caller, failed);
    await routes.create(caller, failed);
    await routes.change(caller, 'failed', { filter: failed.filter });
    expect(await count()).toBe(1);
    await expect(routes.create(caller, { name: 'failed', filter: { type: '*' } })).rejects.toMatchObject({
      code: 'event_view.exists',
      problems: [{ pointer: '/name' }],
    });
    await expect(routes.change(caller, 'none', { filter: {} })).rejects.toMatchObject({ code: 'event_view.not_found' });
    await expect(routes.remove(caller, 'none')).rejects.toMatchObject({ code: 'event_view.not_found' });
  });

  it('is that of one organisation', async () => {
    await routes.create(caller, failed);
    expect(routes.list(stranger)).toMatchObject({ data: [] });
    expect(() => table.resolve('org_2', { view: 'failed' })).toThrow('There is no saved view failed.');
    await routes.create(stranger, { name: 'failed', filter: { type: '*' } });
    expect(routes.view(caller, 'failed')).toMatchObject(failed);
  });

  it.each([
    [{ from: 'yesterday' }, '/filter/from'],
    [{ filter: 'data.branch ==' }, '/filter/filter'],
    [{ limit: '5' }, '/filter/limit'],
  ])('is refused with the filter %j, which no search takes', async (filter, pointer) => {
    await expect(routes.create(caller, { name: 'bad', filter })).rejects.toMatchObject({ problems: [{ pointer }] });
    expect(await count()).toBe(0);
  });

  it('gives a search its filters, of which the search can replace some', async () => {
    await routes.create(caller, failed);
    const resolve = (given: Record<string, string>) => table.resolve('org_1', given);
    expect(resolve({ view: 'failed', limit: '5' })).toEqual({ ...failed.filter, limit: '5' });
    expect(resolve({ view: 'failed', type: 'workflow.failed' })).toEqual({ type: 'workflow.failed', text: 'timeout' });
    expect(resolve({ type: '*' })).toEqual({ type: '*' });
  });
});
