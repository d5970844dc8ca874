import { describe, expect, it } from '@jest/globals';

import { Rejected } from './errors.js';
import { Problems } from './problems.js';

describe('collected problems', () => {
  it('are thrown together, with the first one in the message', () => {
    const problems = new Problems('thing');
    expect(() => problems.throwIfAny('thing.invalid', 'The thing is invalid')).not.toThrow();
    problems.add('/a', 'Must be a URL.');
    problems.unknownKeys({ b: 1, c: 2 }, ['a', 'b'], '/x~1y');
    problems.oneOf('fats', ['fast', 'slow'], '/mode');
    problems.oneOf(undefined, ['fast', 'slow'], '/pace');
    let thrown: unknown;
    try {
      problems.throwIfAny('thing.invalid', 'The thing is invalid');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Rejected);
    expect(thrown).toMatchObject({
      code: 'thing.invalid',
      message: 'The thing is invalid: /a: Must be a URL. (and 3 more)',
      problems: [
        { pointer: '/a', code: 'thing.bad_value', detail: 'Must be a URL.' },
        { pointer: '/x~1y/c', code: 'thing.unknown_key', detail: 'Unknown key "c". Did you mean "a"? Allowed: a, b.' },
        { pointer: '/mode', code: 'thing.bad_value', detail: 'Must be one of fast, slow. Did you mean "fast"?' },
        { pointer: '/pace', code: 'thing.missing_key', detail: '"pace" is required: one of fast, slow.' },
      ],
    });
  });

  it('name each place once', () => {
    const problems = new Problems('thing');
    problems.add('/a', 'Must be a URL.');
    problems.addAll([{ pointer: '/a', detail: 'Must be short.' }]);
    expect(problems.found).toHaveLength(1);
  });

  it('tell which parts can still be looked at', () => {
    const problems = new Problems('thing');
    problems.add('/list/1', 'Must be a string.');
    expect(['/list', '/list/1', '/list/1/deep', ''].map((pointer) => problems.isFine(pointer))).toEqual(
      Array(4).fill(false),
    );
    expect(['/list/10', '/list/0', '/other'].map((pointer) => problems.isFine(pointer))).toEqual(Array(3).fill(true));
  });

  it('take in what somebody else rejects, and nothing else', () => {
    const problems = new Problems('thing');
    const rejected = new Rejected('invalid', 'x.y', 'no', {
      problems: [{ pointer: '/a', detail: 'Must be b.', code: 'x.y' }],
    });
    const failing = (error: Error) => () =>
      problems.attempt(() => {
        throw error;
      });
    expect(failing(rejected)()).toBeUndefined();
    expect(problems.found).toEqual([{ pointer: '/a', detail: 'Must be b.', code: 'x.y' }]);
    expect(failing(new Error('a bug'))).toThrow('a bug');
    expect(problems.attempt(() => 7)).toBe(7);
  });
});
