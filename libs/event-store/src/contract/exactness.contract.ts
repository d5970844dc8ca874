import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { anEvent, aPrefix, aStream, readEverything } from './given.js';
import { group } from './group.js';
import type { Open } from './open-store.js';

const DEEP = `${'{"a":['.repeat(1000)}${']}'.repeat(1000)}`;

/** What goes in comes out: byte for byte, whatever is in it. */
export function exactness(open: Open): void {
  group('exactness', open, (subject) => {
    test.each([
      ['numbers beyond 2^53', '{"n":12345678901234567890}'],
      ['duplicate keys', '{"a":1,"a":2}'],
      ['white space and order of keys', '{ "b" : 1,\n\t"a":\r\n2 }'],
      ['numbers written unusually', '{"n":[1.0,1e2,-0,0.10]}'],
      ['an escaped NUL', '{"a":"\\u0000"}'],
      ['escaped halves of surrogate pairs', '{"a":"\\ud800 \\udfff"}'],
      ['characters beyond the basic plane', '{"👩‍👩‍👧":"𝒳 \u{10ffff}"}'],
      ['line separators', '{"a":"\u2028\u2029"}'],
      ['right-to-left, combining and replacement characters', '{"a":"שלום e\u0301 \ufffd \ufeff"}'],
      ['quotes, backslashes, braces and dollars', '{"a":"\\"\\\\{}$1 \'\' %s NULL"}'],
      ['__proto__ as a key', '{"__proto__":{"x":1},"constructor":2}'],
      ['1,000 levels', DEEP],
      ['an empty object', '{}'],
    ])('keeps %s', async (_, data) => {
      const stream = aStream();
      const metadata = `{"schemaVersion":1,"copy":${data}}`;
      await subject.store.append(stream, [anEvent({ data, metadata })], 'no-stream');
      const [event] = await subject.store.readStream(stream);
      expect(event!.dataJson).toBe(data);
      expect(event!.metadataJson).toBe(metadata);
    });

    test.each([
      ['quotes', `it's a "stream"`],
      ['braces and commas', '{a,b},{c}'],
      ['backslashes', 'a\\b\\\\'],
      ['the word NULL', 'NULL'],
      ['wildcards', '%_*?'],
      ['spaces at both ends', ' a '],
      ['unicode', 'straße-日本-👩‍👩‍👧'],
      ['a colon and a slash', 'a:b/c#d'],
      ['400 characters', 'n'.repeat(400)],
    ])('takes %s in the name of a stream and of a type', async (_, name) => {
      const prefix = aPrefix();
      const stream = `${prefix}${name}`;
      await subject.store.append(stream, [anEvent({ type: name })], 'no-stream');
      await subject.store.append(stream, [anEvent()], 0n);
      const events = await subject.store.readStream(stream);
      expect(events.map(({ type }) => type)).toEqual([name, 'thing.happened']);
      expect(events[0]!.stream).toBe(stream);
      const found = await readEverything(subject.store, { filter: { types: [name], streamPrefixes: [stream] } });
      expect(found).toHaveLength(1);
    });

    test('keeps any JSON in any mixture of appends', async () => {
      const texts = fc.oneof(
        fc.json({ maxDepth: 4 }).map((json) => `{"value":${json}}`),
        fc.string({ unit: anyCharacter, maxLength: 50 }).map((text) => JSON.stringify({ text })),
        fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => JSON.stringify({ text })),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(texts, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
          async (appends) => {
            const streams = appends.map(() => aStream());
            await Promise.all(
              appends.map((data, n) =>
                subject.store.append(
                  streams[n]!,
                  data.map((text) => anEvent({ data: text })),
                  'no-stream',
                ),
              ),
            );
            for (const [n, data] of appends.entries())
              expect((await subject.store.readStream(streams[n]!)).map(({ dataJson }) => dataJson)).toEqual(data);
          },
        ),
        { numRuns: 25 },
      );
    });
  });
}
