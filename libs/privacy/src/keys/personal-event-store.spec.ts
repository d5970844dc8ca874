import { describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { type RecordedEvent, shownDataJson } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { causedBy } from '#libs/events/src/envelope.js';
import { ERASED, type PersonalPart, SEALED } from '#libs/events/src/personal/field-path.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { memoryKeys } from '../../testing/memory-key-names.js';
import { PersonalEventStore } from './personal-event-store.adapter.js';

const ORG = 'org_1';
const now = new Date('2026-11-20T09:00:00Z');
const message = {
  type: 'message.received',
  data: { provider: 'slack', message: { text: 'call me at 555-0199' }, payload: { user: 'jane@acme.example' } },
};
const ofJane: PersonalPart = { subjects: ['jane@acme.example'], fields: [['message', 'text'], ['payload']] };

const setup = () => {
  const log = new MemoryEventStore();
  const { keys, erase, secrets, restarted } = memoryKeys();
  const store = new PersonalEventStore(log, keys);
  const received = async (personal: readonly PersonalPart[], stream = 'inbound-1') => {
    const event = newEvent(message, { id: uuid7(), orgId: ORG, actor: 'integration/int_1', now, personal });
    await store.append(stream, [event], 'no-stream');
    return (await store.readStream(stream))[0]!;
  };
  const follow = async (cause: RecordedEvent, stream = 'run-1') => {
    const draft = {
      type: 'issue.requested' as const,
      data: {
        title: 'call me at 555-0199',
        labels: ['jane@acme.example', 'urgent'],
        eventId: 'evt_1',
        requestedBy: { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 },
      },
    };
    await store.append(
      stream,
      [newEvent(draft, { id: uuid7(), orgId: ORG, actor: 'x', now, cause: causedBy(cause) })],
      'no-stream',
    );
    return (await store.readStream(stream))[0]!;
  };
  const stored = async () =>
    (await log.readAll({ limit: 100 })).events.map((event) => event.dataJson + event.metadataJson).join();
  return { log, store, keys, erase, secrets, restarted, received, follow, stored };
};

describe('the log with personal fields', () => {
  it('stores them encrypted, and gives them back to readers', async () => {
    const { received, stored, log } = setup();
    const event = await received([ofJane]);
    expect(event.data).toEqual(message.data);
    expect(JSON.parse(shownDataJson(event))).toEqual(message.data);
    expect(await stored()).not.toMatch(/jane|555/);
    const [raw] = await log.readStream('inbound-1');
    expect(raw!.data).toMatchObject({ provider: 'slack', payload: expect.stringContaining(SEALED) });
    expect(event.rawData).toEqual(raw!.rawData);
    expect(event.sealed.data).toEqual(raw!.data);
  });

  it('encrypts what follows from them under the same keys, ids excepted', async () => {
    const { received, follow, stored } = setup();
    const event = await follow(await received([ofJane]));
    expect(event.data).toMatchObject({ title: 'call me at 555-0199', labels: ['jane@acme.example', 'urgent'] });
    expect(event.sealed.data).toMatchObject({ eventId: 'evt_1', requestedBy: { ruleId: 'rul_1' } });
    expect(await stored()).not.toMatch(/jane|555|urgent/);
  });

  it('shows after the erasure that the values are erased, in the event and in what follows from it', async () => {
    const { store, received, follow, erase } = setup();
    await follow(await received([ofJane]));
    await erase(ORG, 'jane@acme.example');
    const { events } = await store.readAll({ limit: 10 });
    expect(events.map(({ data }) => data)).toMatchObject([
      { provider: 'slack', message: { text: ERASED }, payload: ERASED },
      { title: ERASED, labels: [ERASED, ERASED], eventId: 'evt_1' },
    ]);
    expect(events.map(({ isErased }) => isErased)).toEqual([true, true]);
  });

  it('needs the keys of all subjects of a value', async () => {
    const { store, received, erase } = setup();
    const event = await received([{ subjects: ['jane', 'john'], fields: [['payload']] }]);
    expect(event.metadata.personal).toHaveLength(2);
    await erase(ORG, 'john');
    const [after] = await store.readStream('inbound-1');
    expect(after!.data).toEqual({ ...message.data, payload: ERASED });
    expect(after!.isErased).toBe(true);
  });

  it('gives a person who comes back another key: what was erased stays erased', async () => {
    const { store, received, erase } = setup();
    await received([ofJane]);
    await erase(ORG, 'jane@acme.example');
    expect((await received([ofJane], 'inbound-2')).data).toEqual(message.data);
    expect((await store.readStream('inbound-1'))[0]!.data).toMatchObject({ payload: ERASED });
  });

  it('writes what follows from an erased event without its values', async () => {
    const { received, follow, erase, stored } = setup();
    const cause = await received([ofJane]);
    expect(cause.data).toEqual(message.data);
    await erase(ORG, 'jane@acme.example');
    const event = await follow(cause);
    expect(event.data).toMatchObject({ title: ERASED, labels: [ERASED, ERASED], eventId: 'evt_1' });
    expect(await stored()).not.toMatch(/jane|555/);
  });

  it('reads with keys of another process, and asks for each once', async () => {
    const { log, received, restarted, secrets } = setup();
    await received([ofJane]);
    const other = new PersonalEventStore(log, restarted());
    const read = async () => (await other.readAll({ limit: 10 })).events[0]!.data;
    expect(await read()).toEqual(message.data);
    secrets.kept.clear();
    expect(await read()).toEqual(message.data);
  });

  it('passes through what holds nothing personal: the very same records', async () => {
    const { log, store, received, keys } = setup();
    await received([]);
    expect((await store.readStream('inbound-1'))[0]).toBe((await log.readStream('inbound-1'))[0]);
    expect(await keys.load([])).toBeDefined();
  });

  it('encrypts all that an event of an own type takes over', async () => {
    const { store, received, stored } = setup();
    const cause = causedBy(await received([ofJane]));
    const own = newEvent(
      { type: 'acme.called', data: { who: 'jane@acme.example', times: 3 } },
      { id: uuid7(), orgId: ORG, actor: 'x', now, cause },
    );
    await store.append('own-1', [own], 'no-stream');
    expect((await store.readStream('own-1'))[0]!.data).toEqual({ who: 'jane@acme.example', times: 3 });
    expect(await stored()).not.toMatch(/jane/);
  });
});
