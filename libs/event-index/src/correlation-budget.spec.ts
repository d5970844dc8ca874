import { describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7, type Uuid } from '#libs/kernel/src/ids.js';

import { CorrelationBudget } from './correlation-budget.js';

const clock = new FixedClock();

class World {
  readonly store = new MemoryEventStore();
  asked = 0;
  budget = this.open(1_000);

  open(limit: number): CorrelationBudget {
    const countStory = async (correlation: Uuid, most: number) => {
      this.asked += 1;
      const { events } = await this.store.readAll({ limit: 100_000 });
      const story = events.filter((one) => one.metadata.$correlationId === correlation);
      return Math.min(most, story.length);
    };
    return (this.budget = new CorrelationBudget({ store: this.store, clock, limit, countStory }));
  }

  /** An event from outside and what follows from it. */
  async story(following: number, of: Uuid = uuid7()): Promise<readonly RecordedEvent[]> {
    const ids = [of, ...Array.from({ length: following }, () => uuid7())];
    for (const id of ids) {
      const cause = { $correlationId: of, hop: id === of ? 0 : 1, causedBy: ['rul_1'] };
      const event = newEvent({ type: 'x', data: {} }, { id, orgId: 'org_1', actor: 't', now: clock.now(), cause });
      await this.store.append(`s-${id}`, [event], 'any');
    }
    return (await this.store.readAll({ limit: 100_000 })).events.slice(-ids.length);
  }

  async told() {
    await this.budget.tell();
    return (await this.store.readAll({ limit: 100_000 })).events.filter((one) => one.is('correlation.exhausted'));
  }
}

describe('the budget of a story', () => {
  it('is spent once the story has so many events, the first included', async () => {
    const world = new World();
    world.open(50);
    const events = await world.story(48);
    await world.budget.note(events, () => true);
    expect(world.budget.isSpent(events[48]!)).toBe(false);
    const [, ...more] = await world.story(5, events[0]!.id);
    await world.budget.note(more, () => true);
    expect(world.budget.isSpent(more[4]!)).toBe(true);
  });

  it('is spent by events on which nobody here would act, too', async () => {
    const world = new World();
    world.open(50);
    const events = await world.story(60);
    await world.budget.note(events.slice(0, 6), () => true);
    expect(world.budget.isSpent(events[5]!)).toBe(true);
  });

  it('costs an event on which nobody would act nothing: it is not parsed', async () => {
    const event = {
      position: 1n,
      type: 'x',
      get metadata(): never {
        throw new Error('parsed');
      },
    };
    await new World().budget.note([event as unknown as RecordedEvent], () => false);
  });

  it('is told of once, whoever tells, in a story of its own that those who spent it do not act on', async () => {
    const world = new World();
    world.open(10);
    const events = await world.story(20);
    await world.budget.note(events, () => true);
    world.budget.isSpent(events[20]!);
    expect(await world.told()).toHaveLength(1);
    world.budget.isSpent(events[20]!);
    world.open(10);
    await world.budget.note(events, () => true);
    world.budget.isSpent(events[20]!);
    const [told, ...more] = await world.told();
    expect(more).toEqual([]);
    expect(told!.metadata).toMatchObject({ $correlationId: told!.id, causedBy: ['rul_1'], hop: 2 });
  });

  it('counts events that are handled again once', async () => {
    const world = new World();
    world.open(100);
    const events = await world.story(30);
    for (let i = 0; i < 5; i++) await world.budget.note(events, () => true);
    expect(world.budget.isSpent(events[30]!)).toBe(false);
  });

  it('is known after a restart: the index has what was recorded before', async () => {
    const world = new World();
    world.open(200);
    const before = await world.story(190);
    const after = await world.story(30, before[0]!.id);
    await world.budget.note(after.slice(1, 21), () => true);
    expect(world.budget.isSpent(after[20]!)).toBe(true);
  });

  it('is kept without asking the index about stories that are short', async () => {
    const world = new World();
    for (let i = 0; i < 20; i++) await world.budget.note(await world.story(20), () => true);
    expect(world.asked).toBe(0);
    const long = await world.story(400);
    for (const event of long) await world.budget.note([event], () => true);
    expect(world.asked).toBe(4);
  });

  it('is not kept of more stories than there is room for, and then the index has it', async () => {
    const world = new World();
    world.open(1_000);
    const long = await world.story(950);
    await world.budget.note(long.slice(0, 900), () => true);
    const others = Array.from({ length: 10_000 }, (_, index) => {
      const { metadata, id } = long[900]!;
      const position = BigInt(100_000 + index);
      return { id, position, metadata: { ...metadata, $correlationId: uuid7() } } as RecordedEvent;
    });
    await world.budget.note(others, () => true);
    const more = await world.story(120, long[0]!.id);
    const later = more.slice(1).map((event, index) => Object.assign(event, { position: BigInt(200_000 + index) }));
    await world.budget.note(later, () => true);
    expect(world.budget.isSpent(later.at(-1)!)).toBe(true);
  });
});
