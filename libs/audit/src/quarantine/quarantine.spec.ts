import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';

import type { Caller } from '#libs/access/src/caller.js';
import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { QuarantineController } from './quarantine.controller.js';
import { eventQuarantine, MOST_QUARANTINED, QuarantineEvent, quarantineEvent, releaseEvent } from './quarantine.js';

const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };

let clock: FixedClock;
let store: MemoryEventStore;
let quarantine: Quarantine;
let routes: QuarantineController;
let push: RecordedEvent;
const append = async (stream: string, type: string, cause?: RecordedEvent): Promise<RecordedEvent> => {
  const context = {
    id: uuid7(),
    orgId: 'org_1',
    actor: 'x',
    now: clock.now(),
    ...(cause && { cause: causedBy(cause) }),
  };
  await store.append(stream, [newEvent({ type, data: {} }, context)], 'no-stream');
  return (await store.readStream(stream))[0]!;
};
beforeEach(async () => {
  clock = new FixedClock('2026-11-30T13:00:00.000Z');
  store = new MemoryEventStore(() => clock.now());
  quarantine = new Quarantine();
  const commands = {
    execute: (command: ThingCommand) =>
      execute(
        store,
        clock,
        eventQuarantine,
        (command instanceof QuarantineEvent ? quarantineEvent : releaseEvent) as never,
        command as never,
      ),
  } as unknown as CommandBus;
  const progress = {
    whenProcessed: async () => {
      quarantine.clear();
      const { events } = await store.readAll({ limit: 1_000, filter: { types: quarantine.reads } });
      for (const event of events) quarantine.apply(event);
    },
  };
  const reader = {
    get: async (_: string, id: string) =>
      (await store.readAll({ limit: 1_000 })).events.find((event) => eventIdOf(event.id) === id)!,
  } as unknown as EventReader;
  routes = new QuarantineController(commands, progress, reader, quarantine);
  push = await append(streams.inbound('int_1', '1'), 'git.push');
});

const mark = (event: RecordedEvent, reason = 'a test system') => routes.mark(caller, eventIdOf(event.id), { reason });
const count = async (): Promise<number> => (await store.readAll({ limit: 1_000 })).events.length;

describe('an event in quarantine', () => {
  it('is passed over until it is released, with who marked it, when and why', async () => {
    const mine = { reason: 'a test system', by: 'token/tok_1', at: '2026-11-30T13:00:00.000Z' };
    expect(await mark(push)).toEqual({ eventId: eventIdOf(push.id), ...mine });
    expect(quarantine.markOf(push.id)).toEqual({ ...mine, orgId: 'org_1' });
    expect(quarantine.without([push])).toEqual([]);
    await routes.release(caller, eventIdOf(push.id));
    expect(quarantine.without([push])).toEqual([push]);
    await mark(push, 'again');
    expect(quarantine.markOf(push.id)).toMatchObject({ reason: 'again' });
  });

  it('is not marked twice for the same reason, and not released twice', async () => {
    await mark(push);
    await mark(push);
    expect(await count()).toBe(2);
    await mark(push, 'another reason');
    expect(await count()).toBe(3);
    await routes.release(caller, eventIdOf(push.id));
    await routes.release(caller, eventIdOf(push.id));
    expect(await count()).toBe(4);
  });

  it('has a reason', async () => {
    await expect(routes.mark(caller, eventIdOf(push.id), {})).rejects.toMatchObject({
      problems: [{ pointer: '/reason' }],
    });
  });

  it('came from outside: what Millrace recorded about itself is refused, with what to do instead', async () => {
    await mark(await append(streams.published('org_1', 'k'), 'release.published'));
    const step = await append(streams.run('run_1'), 'workflow.step_completed', push);
    await expect(mark(step)).rejects.toMatchObject({
      code: 'event.not_quarantinable',
      message: expect.stringContaining(`the story begins with ${eventIdOf(push.id)}`),
    });
    const rule = await append(streams.rule('rul_1'), 'rule.updated');
    await expect(mark(rule)).rejects.toThrow('Change the thing that it is about instead.');
  });

  it('is one of a bounded number: every process keeps them in memory', async () => {
    const free = quarantine.countOf.bind(quarantine);
    quarantine.countOf = () => MOST_QUARANTINED;
    await expect(mark(push)).rejects.toMatchObject({ code: 'quarantine.full' });
    quarantine.countOf = free;
    await mark(push);
    quarantine.countOf = () => MOST_QUARANTINED;
    await mark(push, 'another reason');
  });
});
