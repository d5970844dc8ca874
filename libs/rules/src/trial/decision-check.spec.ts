import { describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { openBudget } from '../../../event-index/testing/open-budget.js';
import { noWork } from '../../../persistence/testing/no-work.js';
import { DecideRules } from '../decisions/decide.subscriber.js';
import { DecisionCheck } from './decision-check.js';

const context = { transaction: () => Promise.reject(new Error('none')), signal: new AbortController().signal };

/** A log of three rules and ten pushes, decided. */
async function decidedLog(): Promise<readonly RecordedEvent[]> {
  const store = new MemoryEventStore();
  const append = async (type: string, data: object, stream = uuid7()) => {
    const given = { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date(), source: 'github' };
    await store.append(stream, [newEvent({ type, data }, given)], 'any');
  };
  for (const [n, value] of ['main', 'topic', 'none'].entries()) {
    const conditions = { field: 'data.branch', operator: 'equals', value };
    const definition = { name: value, eventSource: '*', eventType: 'git.push', conditions, actions: [] };
    await append('rule.created', { ruleId: `rul_${n}`, version: 1, enabled: true, definition });
  }
  for (let n = 0; n < 10; n++) await append('git.push', { branch: n < 4 ? 'main' : 'other' });
  await append('pr.opened', {});
  const { events } = await store.readAll({ limit: 100 });
  await new DecideRules(store, new FixedClock(), noWork, openBudget(store)).handle(events, context);
  return (await store.readAll({ limit: 1_000 })).events;
}

function checked(events: readonly RecordedEvent[], upTo = events.at(-1)!.position) {
  const check = new DecisionCheck(upTo);
  for (const event of events) check.look(event);
  return check.result();
}

describe('the check of decisions', () => {
  it('counts every rule for every event that it names, and finds nothing wrong', async () => {
    expect(checked(await decidedLog())).toMatchObject({
      events: 10,
      pairs: 30,
      discrepancyCount: 0,
      discrepancies: [],
      bytes: expect.any(Number),
    });
  });

  it('names an event whose verdicts are not there', async () => {
    const events = await decidedLog();
    const [lost] = events.filter(({ type }) => type === 'rule.evaluated');
    const { discrepancies } = checked(events.filter((event) => event !== lost));
    expect(discrepancies).toEqual([
      {
        eventId: (lost!.data as { eventId: string }).eventId,
        eventType: 'git.push',
        position: expect.any(String),
        kind: 'none',
        rules: ['rul_0 1', 'rul_1 1', 'rul_2 1'],
      },
    ]);
  });

  it('expects no verdicts on an event that was put in quarantine before it had them', async () => {
    const events = await decidedLog();
    const [lost] = events.filter(({ type }) => type === 'rule.evaluated');
    const { eventId } = lost!.data as { eventId: string };
    const store = new MemoryEventStore();
    const context = { id: uuid7(), orgId: 'org_1', actor: 'x', now: new Date() };
    await store.append('q', [newEvent({ type: 'event.quarantined', data: { eventId, reason: 'x' } }, context)], 'any');
    const marked = [...events.filter((event) => event !== lost), ...(await store.readStream('q'))];
    expect(checked(marked, events.at(-1)!.position)).toMatchObject({ discrepancyCount: 0 });
  });

  it('names every event of a record that is not there', async () => {
    const events = await decidedLog();
    const { discrepancyCount } = checked(events.filter(({ type }) => type !== 'rule.none_matched'));
    expect(discrepancyCount).toBe(6);
  });

  it('does not expect what is too new to be decided', async () => {
    const events = await decidedLog();
    const push = events.findLast(({ type }) => type === 'git.push')!;
    const some = events.filter(({ type }) => type !== 'rule.none_matched');
    expect(checked(some, push.position - 1n)).toMatchObject({ events: 9, discrepancyCount: 5 });
  });

  it('names an event whose verdicts are there twice', async () => {
    const events = await decidedLog();
    const twice = events.find(({ type }) => type === 'rule.evaluated')!;
    expect(checked([...events, twice]).discrepancies).toMatchObject([
      { eventId: (twice.data as { eventId: string }).eventId, kind: 'twice' },
    ]);
  });

  it('names verdicts of rules that were not in force, and those that are missing in their place', async () => {
    const events = await decidedLog();
    const another = events.filter(({ type }) => type !== 'rule.created').toSpliced(0, 0, ...createdWith(events, 2));
    const { discrepancies } = checked(another);
    expect(discrepancies.some(({ kind, rules }) => kind === 'surplus' && rules.includes('rul_0 1'))).toBe(true);
    expect(discrepancies.some(({ kind, rules }) => kind === 'missing' && rules.includes('rul_0 2'))).toBe(true);
    expect(eventIdOf(events[3]!.id)).toBe(discrepancies.find(({ kind }) => kind === 'missing')!.eventId);
  });
});

/** The same rules, the first as another version. */
function createdWith(events: readonly RecordedEvent[], version: number): readonly RecordedEvent[] {
  const created = events.filter((event) => event.is('rule.created'));
  Object.assign(created[0]!.data, { version });
  return created;
}
