import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Rejected } from '#libs/kernel/src/errors.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { compile } from './compile.js';
import { ExpressionError, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LENGTH } from './expression-error.js';
import { functionNames } from './functions.js';
import { Cost, MAX_STEPS } from './values.js';

const evaluate = (expression: string, scope: unknown = null): unknown => compile(expression).evaluate(scope);

function refusal(expression: string): ExpressionError {
  try {
    compile(expression);
  } catch (error) {
    expect(error).toBeInstanceOf(ExpressionError);
    return error as ExpressionError;
  }
  throw new Error(`${expression} was accepted`);
}

describe('what is not an expression', () => {
  it.each([
    ["data.branch == 'main", 16, /not closed.*'/],
    ['data."branch', 6, /not closed/],
    ['length(data.tags) > `2', 21, /not closed/],
    ['data.branch = `1`', 13, /==/],
    ['data.branch ==', 15, /incomplete/],
    ['data.user-agent', 10, /"user-agent"/],
    ['data.count > 2', 14, /`2`/],
    ['(a b)', 4, /not allowed here/],
    ['contains(a b)', 12, /not allowed here/],
    ['[a b]', 4, /not allowed here/],
    ['{a: b c: d}', 7, /not allowed here/],
    ['a.(b)', 3, /after the dot/],
    ['a.', 3, /after the dot/],
    ['a b', 3, /operator/],
    ['foo(a,)', 7, /not allowed here/],
    ['()', 2, /not allowed here/],
    ['a[b]', 2, /after a dot/],
    ["a['b']", 2, /after a dot/],
    ['a[1-2]', 3, /whole number/],
    ['a[::0]', 2, /step/],
    ['@(a)', 2, /function name/],
    ['"length"(a)', 1, /without quotes/],
    ['lenght(a)', 1, /no function lenght/],
    ['length()', 1, /takes 1 argument, not 0/],
    ['length(a, b)', 1, /takes 1 argument, not 2/],
    ['merge()', 1, /at least 1/],
    ['sort_by(a, b)', 1, /write & before/],
    ['length(&a)', 1, /cannot be/],
    ['&a', 1, /arguments of functions/],
    ['a # b', 3, /"#"/],
    ['a ? b', 3, /"\?"/],
    ['`{"a": }`', 1, /not valid JSON/],
    ['"\\q"', 1, /escape/],
    ['', 1, /empty/],
    ['   ', 1, /empty/],
  ])('refuses %s at column %i and says what to write', (expression, column, detail) => {
    const error = refusal(expression);
    expect({ code: error.code, column: error.column }).toEqual({ code: 'expression.malformed', column });
    expect(error.detail).toMatch(detail);
    expect(error.problems[0]!.detail).toBe(`column ${column}: ${error.detail}`);
  });

  it('refuses what is too long, naming the limit', () => {
    const error = refusal(`a.${'b'.repeat(MAX_EXPRESSION_LENGTH)}`);
    expect(error.code).toBe('expression.too_long');
    expect(error.message).toContain(String(MAX_EXPRESSION_LENGTH));
  });

  it.each([
    ['parentheses', (n: number) => `${'('.repeat(n)}a${')'.repeat(n)}`],
    ['negations', (n: number) => `${'!'.repeat(n)}a`],
    ['lists', (n: number) => `${'['.repeat(n)}a${']'.repeat(n)}`],
    ['filters', (n: number) => `${'[?'.repeat(n)}a${']'.repeat(n)}`],
    ['calls', (n: number) => `${'type('.repeat(n)}a${')'.repeat(n)}`],
  ])('refuses %s that are too deep, and takes those that are not', (_, nested) => {
    expect(refusal(nested(500)).code).toBe('expression.too_deep');
    expect(() => compile(nested(MAX_EXPRESSION_DEPTH - 1))).not.toThrow();
  });

  it('survives 200,000 open parentheses', () => {
    expect(refusal('('.repeat(200_000)).code).toBe('expression.too_long');
  });

  it('throws nothing but an ExpressionError, whatever it is given', () => {
    const piece = fc.constantFrom(
      ...['a', '.', '[', ']', '[?', '(', ')', '{', '}', ':', ',', '&', '&&', '|', '||', '!', '==', '=', '<', '*', '@'],
      ...["'", '"', '`', '\\', '1', '-', ' ', '\n', '\r', 'length', 'sort_by', '__proto__', 'ä', '\u0000', '\ud800'],
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 30 }).map((parts) => parts.join('')),
        ),
        (text) => {
          try {
            compile(text).evaluate({ a: [1, { a: 'x' }], length: null });
          } catch (error) {
            expect(error).toBeInstanceOf(Rejected);
          }
        },
      ),
      { numRuns: 1_500 },
    );
  });
});

describe('evaluation', () => {
  it('takes a chain of a thousand fields, which is long but not deep', () => {
    expect(evaluate(Array(1_000).fill('a').join('.'), { a: 1 })).toBeNull();
  });

  it('reads a carriage return as white space', () => {
    expect(evaluate('a\r\n  && b', { a: true, b: 2 })).toBe(2);
  });

  it('unescapes every quote of a text, not the first alone', () => {
    expect(evaluate("'it\\'s Bob\\'s'")).toBe("it's Bob's");
    expect(evaluate('`"\\`\\`"`')).toBe('``');
  });

  it('sees own fields only', () => {
    for (const name of ['constructor', 'toString', '"__proto__"', 'hasOwnProperty', 'valueOf'])
      expect(evaluate(name, {})).toBeNull();
    expect(evaluate('a.length', { a: 'text' })).toBeNull();
    expect(evaluate('a.length', { a: [1] })).toBeNull();
    expect(evaluate('"__proto__".x', JSON.parse('{"__proto__":{"x":1}}'))).toBe(1);
    expect(evaluate('constructor', JSON.parse('{"constructor":1}'))).toBe(1);
  });

  it('makes objects whose __proto__ is a field like others', () => {
    const made = evaluate('{"__proto__": a}', { a: { polluted: true } }) as object;
    expect(Object.getPrototypeOf(made)).toBe(Object.prototype);
    expect(Object.hasOwn(made, '__proto__')).toBe(true);
    const merged = evaluate('merge(a, b)', JSON.parse('{"a":{},"b":{"__proto__":{"polluted":true}}}')) as object;
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect(({} as { polluted?: true }).polluted).toBeUndefined();
  });

  it.each([
    ['a < b', { a: 1, b: null }],
    ['a < b', { a: null, b: 1 }],
    ['a >= b', { a: null, b: null }],
    ['a > b', { a: '2', b: 1 }],
    ['a > b', { a: [2], b: [1] }],
    ['a < b', { a: false, b: true }],
  ])('finds no order in %s of %j', (expression, scope) => {
    expect(evaluate(expression, scope)).toBeNull();
  });

  it('orders texts, and so times', () => {
    expect(evaluate("ts > '2026-01-01'", { ts: '2026-11-20T13:14:15Z' })).toBe(true);
  });

  it('compares objects by value, whatever the order of their fields', () => {
    expect(evaluate('a == b', { a: { x: 1, y: [1, { z: null }] }, b: { y: [1, { z: null }], x: 1 } })).toBe(true);
    expect(evaluate('a == b', { a: { x: 1 }, b: { x: 1, y: null } })).toBe(false);
    expect(evaluate('a == b', { a: [], b: {} })).toBe(false);
  });

  it('compares what is nested deeper than the stack', () => {
    const deep = (levels: number) => {
      let value: unknown = 1;
      for (let i = 0; i < levels; i++) value = [value];
      return value;
    };
    expect(evaluate('a == b', { a: deep(100_000), b: deep(100_000) })).toBe(true);
    expect(evaluate('a == b', { a: deep(100_000), b: deep(99_999) })).toBe(false);
  });

  it.each([
    ['contains(x, `1`)', false],
    ["contains(x, 'a')", false],
    ["starts_with(x, 'a')", false],
    ["ends_with(x, 'a')", false],
    ['length(x)', null],
    ['abs(x)', null],
    ['avg(x)', null],
    ['ceil(x)', null],
    ['floor(x)', null],
    ['sum(x)', null],
    ['max(x)', null],
    ['min(x)', null],
    ['max_by(x, &a)', null],
    ['min_by(x, &a)', null],
    ['sort(x)', null],
    ['sort_by(x, &a)', null],
    ['map(&a, x)', null],
    ['keys(x)', null],
    ['values(x)', null],
    ['reverse(x)', null],
    ["join(', ', x)", null],
    ['to_number(x)', null],
    ['to_string(x)', 'null'],
    ['to_array(x)', [null]],
    ['type(x)', 'null'],
    ['not_null(x, `1`)', 1],
    ['merge(x, `{"a":1}`)', { a: 1 }],
  ])('%s of a missing field is %j', (expression, wanted) => {
    expect(evaluate(expression, {})).toEqual(wanted);
  });

  it('lists no function that the test of missing fields leaves out', () => {
    expect(functionNames).toHaveLength(26);
  });

  it.each([
    ['length(@)', '𝄞a', 2],
    ['reverse(@)', 'a𝄞', '𝄞a'],
    ['contains(@, `1`)', 'a1', false],
    ['contains(@, `{"a":1}`)', [{ a: 1 }], true],
    ['sort(@)', [10, 9, 1], [1, 9, 10]],
    ['sort(@)', [1, 'a'], null],
    ['max(@)', ['B', 'a'], 'a'],
    ['max(@)', [], null],
    ['avg(@)', [], null],
    [
      'max_by(@, &n).id',
      [
        { id: 1, n: 'a' },
        { id: 2, n: 'b' },
      ],
      2,
    ],
    [
      'sort_by(@, &n)[*].id',
      [
        { id: 1, n: 2 },
        { id: 2, n: 1 },
        { id: 3, n: 2 },
      ],
      [2, 1, 3],
    ],
    ['sort_by(@, &n)', [{ n: 1 }, {}], null],
    ["to_number('0x10')", null, null],
    ["to_number('')", null, null],
    ["to_number('Infinity')", null, null],
    ["to_number('-1.5e3')", null, -1500],
    ['sum(@)', [1.7e308, 1.7e308], null],
    ['merge(@, `1`)', {}, null],
  ])('%s over %j is %j', (expression, scope, wanted) => {
    expect(evaluate(expression, scope)).toEqual(wanted);
  });
});

describe('an expression that asks for too much', () => {
  it.each([
    ['doubles an array', Array(300).fill('[@, @][]').join(' | ')],
    ['doubles a tree', Array(300).fill('[@, @]').join(' | ')],
    ['doubles an object', Array(200).fill('{a: @, b: @}').join(' | ')],
    ['doubles a text', Array(100).fill("join('', [@, @])").join(' | ')],
    ['writes a doubled tree', `${Array(200).fill('[@, @]').join(' | ')} | to_string(@)`],
    [
      'compares two doubled trees',
      `{x: ${Array(60).fill('[@, @]').join(' | ')}, y: ${Array(60).fill('[@, @]').join(' | ')}} | x == y`,
    ],
  ])('is ended when it %s', (_, expression) => {
    const cost = new Cost(MAX_STEPS / 20);
    expect(() => compile(expression).evaluate('some text', cost)).toThrow(
      expect.objectContaining({ code: 'expression.too_costly' }),
    );
  });

  it('is ended without being told how much is too much', () => {
    const doubling = Array(100).fill("join('', [@, @])").join(' | ');
    expect(() => compile(doubling).evaluate('some text')).toThrow(
      expect.objectContaining({ code: 'expression.too_costly' }),
    );
  });

  it.each([
    ['counts the keys of a large object', 'length(object)', 50_000],
    ['asks whether a large object is empty', 'object && n', 12_500],
    ['compares objects of different sizes', 'object == other', 20_000],
    ['compares long texts that are the same', 'text == same', 4_000],
    ['orders long texts', 'text < same', 4_000],
    ['sorts long texts', 'sort(texts)', 4_000],
    ['looks at a long beginning', 'starts_with(text, same)', 4_000],
    ['looks at a long end', 'ends_with(text, same)', 4_000],
    ['adds what cannot be added', 'sum(mixed)', 100_000],
    ['joins what cannot be joined', "join('', mixed)", 100_000],
  ])('pays when it %s', (_, expression, steps) => {
    const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));
    // Not the same object in memory: those are compared at once.
    const [text, same] = JSON.parse(JSON.stringify(Array(2).fill('x'.repeat(1_024_000)))) as [string, string];
    const mixed: unknown[] = [...Array<number>(99_999).fill(1), null];
    const scope = { object: keys(50_000), other: keys(30_000), n: 1, text, same, texts: [text, same], mixed };
    const cost = new Cost();
    compile(expression).evaluate(scope, cost);
    expect(MAX_STEPS - cost.left).toBeGreaterThanOrEqual(steps);
  });

  it('may still look through a large event', () => {
    const items = Array.from({ length: 100_000 }, (_, id) => ({ id, even: id % 2 === 0 }));
    expect(evaluate('length(items[?even].id)', { items })).toBe(50_000);
  });
});

describe('numbers that JavaScript does not hold', () => {
  const scope = parseJson(
    '{"a":7615917337495251231,"b":7615917337495251232,"c":1e400,"d":7615917337495251231.5,"n":1}',
  );
  const evaluated = (expression: string): string => stringifyJson(compile(expression).evaluate(scope));

  it.each([
    ['a', '7615917337495251231'],
    ['[a, b]', '[7615917337495251231,7615917337495251232]'],
    ['a == b', 'false'],
    ['a == `7615917337495251231`', 'true'],
    ['a == `76159173374952512310e-1`', 'true'],
    ['a == d', 'false'],
    ['a != b', 'true'],
    ['a < b', 'true'],
    ['c > b', 'true'],
    ['c == c', 'true'],
    ['n < c', 'true'],
    ['a > `7615917337495251231`', 'false'],
    ['to_string(a)', '"7615917337495251231"'],
    ["to_number('7615917337495251231')", '7615917337495251231'],
    ['type(a)', '"number"'],
    ['max([a, b, n])', '7615917337495251232'],
    ['sort([b, n, a])', '[1,7615917337495251231,7615917337495251232]'],
    ['contains([a], b)', 'false'],
    ['contains([a], `7615917337495251231`)', 'true'],
    ['abs(`-7615917337495251231`)', '7615917337495251231'],
    ['floor(a)', '7615917337495251231'],
    ['a.text', 'null'],
    ['a.*', 'null'],
    ['keys(a)', 'null'],
    ['length(a)', 'null'],
    ['[[a], [b]] == [[b], [a]]', 'false'],
    ['not_null(a) && `true`', 'true'],
  ])('%s is %s', (expression, expected) => expect(evaluated(expression)).toBe(expected));
});

describe('blanks around a literal', () => {
  it.each(['`false `', '` false`', '`1 `', '`null `', '`{"a":1} `'])('have no meaning: %s', (expression) =>
    expect(compile(expression).evaluate(null)).toEqual(JSON.parse(expression.slice(1, -1))),
  );
});
