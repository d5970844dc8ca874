import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { isStreamPrefix, streams } from '#libs/events/src/streams.js';

import { StreamNames } from './stream-names.js';

const makers = Object.entries(streams)
  .filter(([name]) => !/^(is[A-Z]|uuidIn$)/.test(name))
  .map(([, name]) => name as (...given: readonly string[]) => string);
const aStream = fc.tuple(fc.constantFrom(...makers), fc.string(), fc.string()).map(([make, a, b]) => make(a, b));
/** Of pieces that could be confused: parts of other prefixes, kinds of streams and their halves. */
const aPrefix = fc
  .array(fc.constantFrom('a', 're', 'run', 'rule', 'set', 'millrace', '.', '-', '_', '1'), { maxLength: 5 })
  .map((parts) => parts.join(''))
  .filter(isStreamPrefix);

describe('the stored names of streams', () => {
  it('come back as they went in', () => {
    fc.assert(
      fc.property(aPrefix, aStream, (prefix, stream) => {
        const names = new StreamNames(prefix);
        expect(names.own(names.stored(stream))).toBe(stream);
        expect(names.own(names.stored(`$$${stream}`))).toBe(`$$${stream}`);
      }),
    );
  });

  it('of one prefix are never those of another, however the prefixes begin', () => {
    fc.assert(
      fc.property(aPrefix, aPrefix, aStream, (one, two, stream) => {
        fc.pre(one !== two);
        expect(new StreamNames(one).own(new StreamNames(two).stored(stream))).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(['order-4711', '$ce-millrace.run', '$stats', '$', 'millrace', 'millrace.', 'Millrace.run-1', '$$order-1'])(
    'are not %s',
    (stored) => {
      expect(new StreamNames().own(stored)).toBeUndefined();
    },
  );

  it('inside the prefix are ours, of whatever kind', () => {
    expect(new StreamNames().own('millrace.garbage')).toBe('garbage');
    expect(new StreamNames().own('millrace.foo-1')).toBe('foo-1');
  });

  it.each(['$x.', '.x', 'x y', 'é.', 'x/', 'acme', streams.run(''), `my.${streams.rule('')}`, '1'.repeat(65)])(
    'cannot begin with %j',
    (prefix) => {
      expect(isStreamPrefix(prefix)).toBe(false);
      expect(() => new StreamNames(prefix)).toThrow('cannot be a prefix');
    },
  );

  it.each(['', 'millrace.', 'team-a.', 'a_b:', 'x-', '1', '1'.repeat(64)])('can begin with %j', (prefix) => {
    expect(isStreamPrefix(prefix)).toBe(true);
  });
});
