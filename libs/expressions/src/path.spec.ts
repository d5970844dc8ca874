import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { compile } from './compile.js';
import { leadingEqualities, pathOf, valueAt } from './path.js';

describe('the path of an expression', () => {
  it.each([
    ['data', ['data']],
    ['data.commits[0].id', ['data', 'commits', 0, 'id']],
    ['data.list[-1]', ['data', 'list', -1]],
    ['data."user-agent"', ['data', 'user-agent']],
    ['@', []],
    ['@.data | branch', ['data', 'branch']],
    ['(data.branch)', ['data', 'branch']],
  ])('%s is %j', (expression, path) => {
    expect(pathOf(expression)).toEqual(path);
  });

  it.each(['data[*].id', 'data[]', 'data.*', 'data[1:]', 'length(data)', 'a || b', "'text'", '!a', '[a]', '{a: a}'])(
    '%s has none',
    (expression) => {
      expect(pathOf(expression)).toBeUndefined();
    },
  );

  const key = fc.constantFrom('a', 'b', 'constructor', '__proto__', 'length', 'x y');
  const step = fc.oneof(
    key.map((name) => ({ text: `.${JSON.stringify(name)}` })),
    fc.integer({ min: -2, max: 2 }).map((index) => ({ text: `[${index}]` })),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'medium' },
      fc.constantFrom(null, 0, 1, '', 'text', true, false),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 3 }),
    ),
  }));

  it('leads to what the expression evaluates to', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5 }), value, (steps, scope) => {
        const expression = `@${steps.map(({ text }) => text).join('')}`;
        expect(valueAt(pathOf(expression)!, scope)).toEqual(compile(expression).evaluate(scope));
      }),
      { numRuns: 500 },
    );
  });
});

describe('the equalities that an expression begins with', () => {
  it.each([
    ["data.x == 'y'", [{ path: ['data', 'x'], value: 'y' }]],
    ["'y' == data.x", [{ path: ['data', 'x'], value: 'y' }]],
    ['data.x == `3`', [{ path: ['data', 'x'], value: 3 }]],
    ['data.x == `null`', [{ path: ['data', 'x'], value: null }]],
    [
      "a == 'x' && b.c == `true` && length(d) > `1` && e == 'late'",
      [
        { path: ['a'], value: 'x' },
        { path: ['b', 'c'], value: true },
      ],
    ],
    ["length(d) > `1` && a == 'x'", []],
    ["a == 'x' || b == 'y'", []],
    ["!(a == 'x')", []],
    ["a != 'x'", []],
    ['a == `[1]`', []],
    ['a == b', []],
    ["length(a) == 'x'", []],
  ])('%s: %j', (expression, equalities) => {
    expect(leadingEqualities(expression)).toEqual(equalities);
  });

  it('make the whole expression false where one of them does not hold', () => {
    const equality = fc
      .tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom("'x'", '`1`', '`null`', '`false`'))
      .map(([path, wanted]) => `${path} == ${wanted}`);
    const rest = fc.constantFrom("contains(a, 'x')", 'b', '!(c)', "a > 'b'", 'length(a) == `1`');
    const scope = fc.dictionary(
      fc.constantFrom('a', 'b', 'c'),
      fc.constantFrom(null, 'x', 1, false, [], {}, 'y') as fc.Arbitrary<unknown>,
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(equality, rest), { minLength: 1, maxLength: 5 }), scope, (parts, given) => {
        const expression = parts.join(' && ');
        const fails = leadingEqualities(expression).some(({ path, value }) => valueAt(path, given) !== value);
        if (fails) expect(compile(expression).evaluate(given)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
