import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { uuid7 } from '#libs/kernel/src/ids.js';

import { type EventToAppend, WrongRevision } from '../../event-store.js';
import { StreamNames } from '../../names/stream-names.js';
import { type AppendRequest, BatchEncoder, decodeAnswer } from './append-batch.js';

const event = (more: Partial<EventToAppend> = {}): EventToAppend => ({
  id: uuid7(),
  type: 't',
  data: '{}',
  metadata: '{"m":1}',
  ...more,
});
const request = (more: Partial<AppendRequest> = {}): AppendRequest => {
  const events = more.events ?? [event()];
  const bytes = events.reduce(
    (sum, { data, metadata }) => sum + Buffer.byteLength(data) + Buffer.byteLength(metadata),
    0,
  );
  return { stream: 's', events, expected: 'no-stream', bytes, ...more };
};

describe('a batch as parameters', () => {
  test('names streams, expectations, counts, ids and types, each type once', () => {
    const events = [event({ type: 'a.b' }), event({ type: 'c' }), event({ type: 'a.b' })];
    const [streams, expectations, counts, ids, kinds, types] = new BatchEncoder(new StreamNames('p.')).parameters([
      request({ stream: 'one', events: events.slice(0, 2), expected: 41n }),
      request({ stream: 'two', events: events.slice(2), expected: 'stream-exists' }),
      request({ stream: 'three', events: [event({ id: events[0]!.id, type: 'c' })], expected: 'any' }),
      request({ stream: 'four', events: [event({ id: events[0]!.id, type: 'c' })] }),
    ]);
    expect(streams).toBe('{"p.one","p.two","p.three","p.four"}');
    expect(expectations).toBe('{41,-2,-3,-1}');
    expect(counts).toBe('{2,1,1,1}');
    expect(ids).toBe(`{${[...events, events[0]!, events[0]!].map(({ id }) => id).join(',')}}`);
    expect(kinds).toBe('{1,2,1,2,2}');
    expect(types).toBe('{"a.b","c"}');
  });

  test('escapes what means something in an array literal', () => {
    const [streams] = new BatchEncoder(new StreamNames('p.')).parameters([request({ stream: 'a"b\\c,{d}' })]);
    expect(streams).toBe('{"p.a\\"b\\\\c,{d}"}');
  });

  test('puts all payloads into one buffer, from which the ends cut them again, byte for byte', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 });
    const encoder = new BatchEncoder(new StreamNames('p.'));
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.record({ data: text, metadata: text }), { minLength: 1 }), { minLength: 1 }),
        (batch) => {
          const requests = batch.map((events) => request({ events: events.map((each) => event(each)) }));
          const parameters = encoder.parameters(requests);
          const payload = parameters.at(-1) as Buffer;
          const ends = (parameters.at(-2) as string).slice(1, -1).split(',').map(Number);
          const pieces = ends.slice(1).map((end, n) => payload.subarray(ends[n], end).toString());
          expect(pieces).toEqual(batch.flat().flatMap(({ data, metadata }) => [data, metadata]));
        },
      ),
    );
  });

  test('grows its buffer for a batch that is larger than all before', () => {
    const data = 'é'.repeat(800_000);
    const payload = new BatchEncoder(new StreamNames('p.'))
      .parameters([request({ events: [event({ data })] })])
      .at(-1) as Buffer;
    expect(payload.length).toBe(1_600_000 + '{"m":1}'.length);
  });
});

describe('the answer to a batch', () => {
  const requests = [
    request({ stream: 'new', events: [event(), event()] }),
    request({ stream: 'again', expected: 4n }),
    request({ stream: 'behind', expected: 1n }),
    request({ stream: 'unknown', expected: 0n }),
    request({ stream: 'last', expected: 6n }),
  ];
  const { outcomes, events } = decodeAnswer(requests, [
    '{0,1,2,2,0}',
    '{1,5,9,-1,7}',
    '{102,50,0,0,103}',
    '1700000000123',
  ]);

  test('gives each request its own outcome', () => {
    expect(outcomes).toEqual([
      { result: { revision: 1n, position: 102n, repeated: false } },
      { result: { revision: 5n, position: 50n, repeated: true } },
      { error: expect.any(WrongRevision) },
      { error: expect.any(WrongRevision) },
      { result: { revision: 7n, position: 103n, repeated: false } },
    ]);
    expect(outcomes[2]).toMatchObject({ error: { stream: 'behind', expected: 1n, actual: 9n } });
    expect(outcomes[3]).toMatchObject({ error: { stream: 'unknown', expected: 0n, actual: undefined } });
  });

  test('holds the new events as the log does, in the order of their positions, without those that were there', () => {
    expect(events.map(({ stream, revision, position }) => [stream, revision, position])).toEqual([
      ['new', 0n, 101n],
      ['new', 1n, 102n],
      ['last', 7n, 103n],
    ]);
    expect(events[0]).toMatchObject({ id: requests[0]!.events[0]!.id, type: 't', created: new Date(1700000000123) });
    expect(events[0]!.metadataJson).toBe('{"m":1}');
  });
});
