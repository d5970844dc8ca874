import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';

import { Cost, MAX_STEPS } from '#libs/expressions/src/values.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import type { Problem } from '#libs/kernel/src/errors.js';
import { Problems } from '#libs/kernel/src/problems.js';

import { ConditionCompiler, MAX_CONDITION_DEPTH, MAX_CONDITIONS } from './condition-compiler.js';
import { operators } from './operators.js';

const event = {
  type: 'webhook.received',
  timestamp: '2026-11-20T13:14:15Z',
  data: {
    branch: 'feature/login',
    n: 5,
    big: 12345678901,
    yes: true,
    nothing: null,
    empty: '',
    list: [1, 'two', { three: 3 }, null],
    object: { a: 1, b: [2] },
  },
};

function compile(json: unknown) {
  const problems = new Problems('rule');
  const condition = new ConditionCompiler(problems).compile(json, '/conditions');
  expect(problems.found).toEqual([]);
  return condition;
}
const check = (json: unknown, over: unknown = event) => compile(json).check(over, new Cost());
const holds = (json: unknown, over: unknown = event) => check(json, over) === undefined;
function problemsOf(json: unknown): readonly Problem[] {
  const problems = new Problems('rule');
  new ConditionCompiler(problems).compile(json, '/conditions');
  return problems.found;
}

describe('an operator', () => {
  it.each<[string, string, unknown, boolean]>([
    ['data.n', 'equals', 5, true],
    ['data.n', 'equals', '5', false],
    ['data.object', 'equals', { b: [2], a: 1 }, true],
    ['data.missing', 'equals', null, true],
    ['data.branch', 'not_equals', 'main', true],
    ['data.missing', 'not_equals', 'main', true],
    ['data.n', 'in', [4, 5], true],
    ['data.object', 'in', [1, { a: 1, b: [2] }], true],
    ['data.n', 'in', ['5'], false],
    ['data.missing', 'in', [null], true],
    ['data.n', 'not_in', [4], true],
    ['data.n', 'not_in', [5], false],
    ['data.missing', 'not_in', [5], true],
    ['data.branch', 'contains', 'log', true],
    ['data.branch', 'contains', 'LOG', false],
    ['data.list', 'contains', 'two', true],
    ['data.list', 'contains', { three: 3 }, true],
    ['data.list', 'contains', null, true],
    ['data.n', 'contains', 5, false],
    ['data.missing', 'contains', 'x', false],
    ['data.list', 'not_contains', 'three', true],
    ['data.missing', 'not_contains', 'x', true],
    ['data.branch', 'starts_with', 'feature/', true],
    ['data.n', 'starts_with', '5', false],
    ['data.branch', 'ends_with', '/login', true],
    ['data.list', 'ends_with', 'x', false],
    ['data.branch', 'matches', '^feature/[a-z]+$', true],
    ['data.branch', 'matches', 'log', true],
    ['data.branch', 'matches', '(?i)LOGIN', true],
    ['data.branch', 'matches', '^log', false],
    ['data.n', 'matches', '5', false],
    ['data.missing', 'matches', '.*', false],
    ['data.n', 'gt', 4, true],
    ['data.n', 'gt', 5, false],
    ['data.n', 'gte', 5, true],
    ['data.n', 'lt', 6, true],
    ['data.n', 'lte', 5, true],
    ['data.n', 'lt', '6', false],
    ['data.missing', 'lt', 6, false],
    ['data.missing', 'gte', 0, false],
    ['data.branch', 'gt', 'eature', true],
    ['timestamp', 'gt', '2026-11-20T14:14:14+01:00', true],
    ['timestamp', 'lt', '2026-11-20T13:14:15.001Z', true],
    ['timestamp', 'gte', '2026-11-20T15:14:15+02:00', true],
    ['timestamp', 'gt', '2026-11-20', true],
    ['data.n', 'exists', undefined, true],
    ['data.empty', 'exists', undefined, true],
    ['data.nothing', 'exists', undefined, false],
    ['data.a.b.c', 'exists', undefined, false],
    ['data.nothing', 'not_exists', undefined, true],
    ['data.yes', 'not_exists', undefined, false],
  ])('finds that %s %s %j is %s', (field, operator, value, wanted) => {
    expect(holds({ field, operator, ...(value !== undefined && { value }) })).toBe(wanted);
  });

  it.each(operators)('%s never throws, whatever it sees', (operator) => {
    const value =
      operator === 'in' || operator === 'not_in'
        ? fc.array(fc.jsonValue())
        : ['starts_with', 'ends_with'].includes(operator)
          ? fc.string()
          : operator === 'matches'
            ? fc.constantFrom('a*b', '.', '^(x|y)+$')
            : ['gt', 'gte', 'lt', 'lte'].includes(operator)
              ? fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.constant('2026-01-01T00:00:00Z'))
              : fc.jsonValue();
    fc.assert(
      fc.property(value, fc.jsonValue(), (wanted, actual) => {
        const json = { field: 'x', operator, ...(!operator.endsWith('exists') && { value: wanted }) };
        const negation = { not: json };
        expect(holds(negation, { x: actual })).toBe(!holds(json, { x: actual }));
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['equals', 'not_equals'],
    ['in', 'not_in'],
    ['contains', 'not_contains'],
    ['exists', 'not_exists'],
  ])('%s holds exactly where %s does not', (operator, opposite) => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (wanted, x) => {
        const value = operator === 'exists' ? {} : { value: operator === 'in' ? [wanted] : wanted };
        expect(holds({ field: 'x', operator, ...value }, { x })).toBe(
          !holds({ field: 'x', operator: opposite, ...value }, { x }),
        );
      }),
    );
  });

  it('matches in linear time what makes other engines run for ever', () => {
    expect(holds({ field: 'x', operator: 'matches', value: '^(a+)+$' }, { x: `${'a'.repeat(50_000)}!` })).toBe(false);
  });

  it.each(['contains', 'not_contains'])('looks for a long part in linear time with %s', (operator) => {
    const native = jest.spyOn(String.prototype, 'includes');
    const json = { field: 'x', operator, value: `${'a'.repeat(500)}b${'a'.repeat(500)}` };
    expect(holds(json, { x: 'a'.repeat(10_000) })).toBe(operator === 'not_contains');
    const asked = native.mock.calls.filter(([part]) => part.length > 64);
    native.mockRestore();
    expect(asked).toEqual([]);
  });

  it('ends a match that is linear and still too much', () => {
    const json = { field: 'x', operator: 'matches', value: '(a?){400}b' };
    expect(() => check(json, { x: 'a'.repeat(1_000_000) })).toThrow(Rejected);
  });
});

describe('a group', () => {
  const yes = { field: 'data.n', operator: 'equals', value: 5 };
  const no = { field: 'data.n', operator: 'equals', value: 6 };
  it.each([
    [{ all: [yes, yes] }, true],
    [{ all: [yes, no] }, false],
    [{ all: [] }, true],
    [{ any: [no, yes] }, true],
    [{ any: [no, no] }, false],
    [{ not: no }, true],
    [{ not: yes }, false],
    [{ not: { all: [yes, no] } }, true],
    [{ all: [{ any: [no, { not: no }] }, { not: { any: [no, { all: [no] }] } }] }, true],
    [{ expression: "data.n > `4` && data.list[1] == 'two'" }, true],
    [{ expression: 'data.empty' }, false],
    [{ expression: 'data.object' }, true],
  ])('%j holds: %s', (json, wanted) => {
    expect(holds(json)).toBe(wanted);
  });
});

describe('a failure', () => {
  it('names the first condition that decided, the field, what was seen and what was wanted', () => {
    const json = {
      all: [
        { field: 'data.n', operator: 'gt', value: 1 },
        { any: [{ expression: 'data.missing' }, { field: 'data.branch', operator: 'equals', value: 'main' }] },
      ],
    };
    expect(check(json)).toEqual({
      pointer: '/conditions/all/1/any/0',
      condition: 'data.missing',
      field: 'data.missing',
      actual: null,
      expected: true,
    });
    expect(check({ all: [{ field: 'data.branch', operator: 'equals', value: 'main' }] })).toEqual({
      pointer: '/conditions/all/0',
      condition: 'data.branch equals "main"',
      field: 'data.branch',
      actual: 'feature/login',
      expected: 'main',
    });
  });

  it('of a negation says what was seen although it should not have been', () => {
    expect(check({ not: { field: 'data.branch', operator: 'starts_with', value: 'feature/' } })).toEqual({
      pointer: '/conditions',
      condition: 'not (data.branch starts_with "feature/")',
      field: 'data.branch',
      actual: 'feature/login',
      expected: { not: 'feature/' },
    });
    expect(check({ not: { all: [] } })).toMatchObject({ pointer: '/conditions', actual: true });
  });

  it('keeps no more than 200 characters of what was seen', () => {
    const json = { field: 'x', operator: 'equals', value: 'y'.repeat(1_000) };
    const failure = check(json, { x: { text: 'z'.repeat(100_000) } })!;
    expect((failure.actual as string).length).toBe(200);
    expect((failure.expected as string).length).toBe(200);
    expect(failure.condition.length).toBeLessThanOrEqual(300);
  });
});

describe('a trace', () => {
  it('shows every condition with its verdict, a group before its members', () => {
    const json = {
      all: [{ field: 'data.n', operator: 'equals', value: 6 }, { not: { field: 'data.yes', operator: 'exists' } }],
    };
    const lines = compile(json).trace(event, new Cost());
    expect(lines.map(({ pointer, holds, actual }) => [pointer, holds, actual])).toEqual([
      ['/conditions', false, undefined],
      ['/conditions/all/0', false, 5],
      ['/conditions/all/1', false, undefined],
      ['/conditions/all/1/not', true, true],
    ]);
  });
});

describe('a condition that is wrong', () => {
  it.each<[unknown, string, RegExp]>([
    ['data.n', '/conditions', /Must be a condition/],
    [[], '/conditions', /Must be a condition/],
    [{}, '/conditions/field', /required/],
    [{ field: 'a', operator: 'equalz', value: 1 }, '/conditions/operator', /Did you mean "equals"/],
    [{ field: 'a', value: 1 }, '/conditions/operator', /required/],
    [{ field: 'a', operator: 'equals' }, '/conditions/value', /required/],
    [{ field: 'a ==', operator: 'exists' }, '/conditions/field', /column 5/],
    [{ field: 5, operator: 'exists' }, '/conditions/field', /JMESPath/],
    [{ expression: "a == 'b" }, '/conditions/expression', /column 6.*not closed/],
    [{ field: 'a', operator: 'exists', value: true }, '/conditions/value', /no value/],
    [{ field: 'a', operator: 'in', value: 'x' }, '/conditions/value', /list/],
    [{ field: 'a', operator: 'starts_with', value: 5 }, '/conditions/value', /string/],
    [{ field: 'a', operator: 'gt', value: null }, '/conditions/value', /number/],
    [{ field: 'a', operator: 'matches', value: '(' }, '/conditions/value', /regular expression/],
    [{ field: 'a', operator: 'matches', value: '(?=x)' }, '/conditions/value', /look-around/],
    [{ field: 'a', operator: 'matches', value: '(a)\\1' }, '/conditions/value', /back-references/],
    [{ field: 'a', operator: 'matches', value: 'a'.repeat(1_001) }, '/conditions/value', /1000/],
    [{ field: 'a', operator: 'matches', value: '((a{30}){30}){30}' }, '/conditions/value', /regular expression/],
    [{ field: 'a', operator: 'equals', vlaue: 1, value: 1 }, '/conditions/vlaue', /Did you mean "value"/],
    [{ all: [], any: [] }, '/conditions', /nest one in the other/],
    [{ all: {} }, '/conditions/all', /list/],
    [{ any: [] }, '/conditions/any', /never matches/],
    [{ all: [{ not: { expression: '' } }] }, '/conditions/all/0/not/expression', /empty/],
  ])('%j is refused at %s', (json, pointer, detail) => {
    const found = problemsOf(json);
    expect(found.map((problem) => problem.pointer)).toContain(pointer);
    expect(found.find((problem) => problem.pointer === pointer)!.detail).toMatch(detail);
  });

  it('is named together with all others', () => {
    const json = {
      all: [{ expression: '(' }, { field: 'a', operator: 'x' }, { field: 'a', operator: 'in', value: 1 }],
    };
    expect(problemsOf(json).map(({ pointer }) => pointer)).toEqual([
      '/conditions/all/0/expression',
      '/conditions/all/1/operator',
      '/conditions/all/2/value',
    ]);
  });

  it('is too deep or too many, with the limit named', () => {
    let deep: unknown = { expression: 'a' };
    for (let i = 0; i < 10_000; i++) deep = { not: deep };
    expect(problemsOf(deep)[0]!.detail).toContain(String(MAX_CONDITION_DEPTH));
    const many = { all: Array(MAX_CONDITIONS + 100).fill({ expression: 'a' }) };
    expect(problemsOf(many).map(({ detail }) => detail)).toEqual([expect.stringContaining(String(MAX_CONDITIONS))]);
  });

  it('never makes the compiler throw', () => {
    const anything = fc.anything({
      key: fc.constantFrom('all', 'any', 'not', 'field', 'operator', 'value', 'expression', 'x'),
    });
    fc.assert(
      fc.property(anything, (json) => void problemsOf(json)),
      { numRuns: 500 },
    );
  });
});

describe('alternating negations', () => {
  it('are looked at in steps that do not double with each', () => {
    let json: unknown = { field: 'data.n', operator: 'equals', value: 5 };
    for (let i = 0; i < MAX_CONDITION_DEPTH; i++) json = { not: { all: [json] } };
    // Two levels each: beyond the limit is refused, so half of them.
    let half: unknown = { field: 'data.n', operator: 'equals', value: 5 };
    for (let i = 0; i < MAX_CONDITION_DEPTH / 2; i++) half = { not: { all: [half] } };
    expect(problemsOf(json)).not.toEqual([]);
    // With a doubling at each level, neither of them would end.
    check(half);
    const cost = new Cost();
    compile(half).trace(event, cost);
    expect(MAX_STEPS - cost.left).toBeLessThan(1_000);
  });
});
