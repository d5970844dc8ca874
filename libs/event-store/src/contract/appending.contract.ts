import { expect, test } from '@jest/globals';

import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { LARGEST_APPEND_BYTES, MAX_APPEND_BYTES, WrongRevision } from '../event-store.js';
import { anEvent, aStream, idsOf, revisionsOf, someEvents } from './given.js';
import { group } from './group.js';
import type { Open } from './open-store.js';

/** Expectations, all-or-nothing, idempotence, and what is refused before it is sent. */
export function appending(open: Open): void {
  group('appending', open, (subject) => {
    test('starts a stream at revision 0 and answers with the place of the last event', async () => {
      const stream = aStream();
      const first = await subject.store.append(stream, [anEvent()], 'no-stream');
      const second = await subject.store.append(stream, someEvents(3), 0n);
      expect(first).toEqual({ revision: 0n, position: expect.any(BigInt), repeated: false });
      expect(second).toEqual({ revision: 3n, position: expect.any(BigInt), repeated: false });
      expect(second.position).toBeGreaterThan(first.position);
      const events = await subject.store.readStream(stream);
      expect(revisionsOf(events)).toEqual([0n, 1n, 2n, 3n]);
      expect(events[0]!.position).toBe(first.position);
      expect(events[3]!.position).toBe(second.position);
    });

    test('gives what it was given back: stream, id, type, data, metadata, and the time of the append', async () => {
      const stream = aStream();
      const given = anEvent({
        type: 'pr.opened',
        data: '{"a": [1, 2]}',
        metadata: anEvent().metadata.replace('"hop":0', '"hop": 3'),
      });
      const before = Date.now();
      await subject.store.append(stream, [given], 'no-stream');
      const [event] = await subject.store.readStream(stream);
      expect(event).toMatchObject({ stream, id: given.id, type: 'pr.opened', revision: 0n });
      expect(event!.dataJson).toBe(given.data);
      expect(event!.metadataJson).toBe(given.metadata);
      expect(event!.data).toEqual({ a: [1, 2] });
      expect(event!.metadata.hop).toBe(3);
      expect(Math.abs(event!.created.getTime() - before)).toBeLessThan(60_000);
    });

    test('refuses a second start of a stream and says where the stream is', async () => {
      const stream = aStream();
      await subject.store.append(stream, someEvents(2), 'no-stream');
      const again = subject.store.append(stream, [anEvent()], 'no-stream');
      await expect(again).rejects.toBeInstanceOf(WrongRevision);
      await expect(again).rejects.toMatchObject({ stream, expected: 'no-stream', actual: 1n });
    });

    test('refuses a revision that is behind, ahead, or of a stream that does not exist', async () => {
      const stream = aStream();
      const unknown = aStream();
      await subject.store.append(stream, someEvents(3), 'no-stream');
      await expect(subject.store.append(stream, [anEvent()], 1n)).rejects.toMatchObject({ expected: 1n, actual: 2n });
      await expect(subject.store.append(stream, [anEvent()], 3n)).rejects.toMatchObject({ expected: 3n, actual: 2n });
      const toUnknown = subject.store.append(unknown, [anEvent()], 0n);
      await expect(toUnknown).rejects.toBeInstanceOf(WrongRevision);
      await expect(toUnknown).rejects.toMatchObject({ actual: undefined });
      expect(await subject.store.readStream(stream)).toHaveLength(3);
      expect(await subject.store.readStream(unknown)).toEqual([]);
    });

    test('takes "stream-exists" for any revision, and refuses it without a stream', async () => {
      const stream = aStream();
      await expect(subject.store.append(stream, [anEvent()], 'stream-exists')).rejects.toMatchObject({
        expected: 'stream-exists',
        actual: undefined,
      });
      await subject.store.append(stream, someEvents(2), 'no-stream');
      expect(await subject.store.append(stream, [anEvent()], 'stream-exists')).toMatchObject({ revision: 2n });
    });

    test('takes "any" with and without a stream', async () => {
      const stream = aStream();
      expect(await subject.store.append(stream, [anEvent()], 'any')).toMatchObject({ revision: 0n });
      expect(await subject.store.append(stream, [anEvent()], 'any')).toMatchObject({ revision: 1n });
    });

    test('appends all events of a call or none', async () => {
      const stream = aStream();
      await subject.store.append(stream, [anEvent()], 'no-stream');
      const refused = someEvents(5);
      await expect(subject.store.append(stream, refused, 4n)).rejects.toBeInstanceOf(WrongRevision);
      expect(await subject.store.readStream(stream)).toHaveLength(1);
    });

    test('answers a repeated append with the original place, whatever has been appended since', async () => {
      const stream = aStream();
      const start = someEvents(2);
      const more = someEvents(3);
      const started = await subject.store.append(stream, start, 'no-stream');
      const continued = await subject.store.append(stream, more, 1n);
      await subject.store.append(stream, [anEvent()], 4n);
      expect(await subject.store.append(stream, start, 'no-stream')).toEqual({ ...started, repeated: true });
      expect(await subject.store.append(stream, more, 1n)).toEqual({ ...continued, repeated: true });
      expect(await subject.store.readStream(stream)).toHaveLength(6);
    });

    test('answers a repeated "stream-exists" at the end of the stream with the original place', async () => {
      const stream = aStream();
      await subject.store.append(stream, [anEvent()], 'no-stream');
      const more = someEvents(2);
      const first = await subject.store.append(stream, more, 'stream-exists');
      expect(await subject.store.append(stream, more, 'stream-exists')).toEqual({ ...first, repeated: true });
      expect(await subject.store.readStream(stream)).toHaveLength(3);
    });

    test('takes two copies of one append at the same time as one', async () => {
      const stream = aStream();
      const events = someEvents(2);
      const [one, other] = await Promise.all([
        subject.store.append(stream, events, 'no-stream'),
        subject.store.append(stream, events, 'no-stream'),
      ]);
      expect([one.revision, one.position]).toEqual([other.revision, other.position]);
      expect([one.repeated, other.repeated].sort()).toEqual([false, true]);
      expect(await subject.store.readStream(stream)).toHaveLength(2);
    });

    test.each([
      ['other ids', (ids: string[]) => ids.map(() => uuid7())],
      ['the same ids in another order', (ids: string[]) => ids.toReversed()],
      ['one id more', (ids: string[]) => [...ids, uuid7()]],
      ['the last id changed', (ids: string[]) => [...ids.slice(0, -1), uuid7()]],
    ])('refuses an append behind the stream with %s', async (_, change) => {
      const stream = aStream();
      const events = someEvents(3);
      await subject.store.append(stream, events, 'no-stream');
      const changed = change(idsOf(events)).map((id) => anEvent({ id }));
      await expect(subject.store.append(stream, changed, 'no-stream')).rejects.toMatchObject({ actual: 2n });
      expect(await subject.store.readStream(stream)).toHaveLength(3);
    });

    test('looks for a repeated append at the expectation only, not elsewhere in the stream', async () => {
      const stream = aStream();
      const [first, second] = someEvents(2) as [ReturnType<typeof anEvent>, ReturnType<typeof anEvent>];
      await subject.store.append(stream, [first], 'no-stream');
      await subject.store.append(stream, [second], 0n);
      await subject.store.append(stream, [anEvent()], 1n);
      await expect(subject.store.append(stream, [first], 0n)).rejects.toMatchObject({ actual: 2n });
      expect(await subject.store.append(stream, [first], 2n)).toMatchObject({ revision: 3n, repeated: false });
    });

    test('takes the same event ids in different streams', async () => {
      const events = someEvents(2);
      const streams = [aStream(), aStream(), aStream()];
      for (const stream of streams)
        expect(await subject.store.append(stream, events, 'no-stream')).toMatchObject({ repeated: false });
      for (const stream of streams) expect(idsOf(await subject.store.readStream(stream))).toEqual(idsOf(events));
    });

    const overhead = 2 * 'thing.happened'.length + '{"text":""}'.length + anEvent().metadata.length;
    const sized = (bytes: number) => anEvent({ data: JSON.stringify({ text: 'x'.repeat(bytes - overhead) }) });

    test('takes an append of 1 MiB, and refuses more than 4 MiB before sending it', async () => {
      const stream = aStream();
      const full = sized(MAX_APPEND_BYTES);
      await subject.store.append(stream, [full], 'no-stream');
      const refused = subject.store.append(stream, [sized(LARGEST_APPEND_BYTES + 1)], 0n);
      await expect(refused).rejects.toBeInstanceOf(Rejected);
      await expect(refused).rejects.toMatchObject({ kind: 'too_large', code: 'log.append_too_large' });
      const events = await subject.store.readStream(stream);
      expect(events).toHaveLength(1);
      expect(events[0]!.dataJson === full.data).toBe(true);
    });

    test('takes an append of 4 MiB whole, or says that its server takes less', async () => {
      const stream = aStream();
      const largest = sized(LARGEST_APPEND_BYTES);
      const code = await subject.store.append(stream, [largest], 'no-stream').then(
        () => 'taken',
        (error: unknown) => (error as Rejected).code,
      );
      const texts = (await subject.store.readStream(stream)).map(({ dataJson }) => dataJson);
      expect([code, texts.map((text) => text === largest.data)]).toEqual(
        code === 'taken' ? ['taken', [true]] : ['log.append_too_large', []],
      );
    });

    test('measures an append in bytes, not in characters, and over all its events', async () => {
      const text = JSON.stringify({ text: 'é'.repeat(LARGEST_APPEND_BYTES / 4) });
      const events = [anEvent({ data: text }), anEvent({ data: text })];
      await expect(subject.store.append(aStream(), events, 'no-stream')).rejects.toMatchObject({
        code: 'log.append_too_large',
      });
    });

    test.each([
      ['no events', () => [], aStream(), 'log.append_empty'],
      ['an id that is not a UUID', () => [anEvent({ id: 'evt_1' })], aStream(), 'log.event_malformed'],
      ['an empty type', () => [anEvent({ type: '' })], aStream(), 'log.name_malformed'],
      ['an empty stream name', () => [anEvent()], '', 'log.name_malformed'],
      ['a NUL in the stream name', () => [anEvent()], 'a\0b', 'log.name_malformed'],
      ["a system stream's name", () => [anEvent()], '$all', 'log.name_malformed'],
      ['a stream name of 513 characters', () => [anEvent()], 'x'.repeat(513), 'log.name_malformed'],
      ['half a surrogate pair', () => [anEvent({ data: '{"a":"\ud800"}' })], aStream(), 'log.event_malformed'],
    ])('refuses %s', async (_, events, stream, code) => {
      const refused = subject.store.append(stream, events(), 'no-stream');
      await expect(refused).rejects.toBeInstanceOf(Rejected);
      await expect(refused).rejects.toMatchObject({ code });
    });

    test('refuses a negative revision', async () => {
      await expect(subject.store.append(aStream(), [anEvent()], -1n)).rejects.toMatchObject({
        code: 'log.event_malformed',
      });
    });
  });

  group('closing', open, (subject) => {
    test('finishes the appends that are under way, then refuses every call and ends subscriptions', async () => {
      const { store } = subject;
      const stream = aStream();
      const controller = new AbortController();
      const subscription = store.subscribe({ from: 'end', signal: controller.signal })[Symbol.asyncIterator]();
      await subscription.next();
      const underWay = store.append(stream, someEvents(2), 'no-stream');
      await store.close();
      expect(await underWay).toMatchObject({ revision: 1n });
      for (let item = await subscription.next(); !item.done;) item = await subscription.next();
      const append = store.append(stream, [anEvent()], 1n);
      await expect(append).rejects.toBeInstanceOf(Transient);
      await expect(append).rejects.toMatchObject({ code: 'log.closed' });
      await expect(store.readStream(stream)).rejects.toMatchObject({ code: 'log.closed' });
      await expect(store.ping()).rejects.toMatchObject({ code: 'log.closed' });
    });
  });
}
