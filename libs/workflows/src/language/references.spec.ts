import { describe, expect, it } from '@jest/globals';

import { references } from './references.js';

const named = (expression: string) => references(expression).map((path) => path.join('.'));

describe('what an expression reads of its scope', () => {
  it.each([
    ['steps.fetch.output.status', ['steps.fetch.output.status']],
    ['a.b == `1` && !(c.d) || e', ['a.b', 'c.d', 'e']],
    ['items[0].name', ['items']],
    ['items[*].name', ['items']],
    ["items[?kind == 'x'].name", ['items']],
    ['items[].name', ['items']],
    ['steps.a.output | b.c', ['steps.a.output']],
    ['length(a.b)', ['a.b']],
    ['sort_by(a.list, &key)', ['a.list']],
    ['[a, {x: b.c}]', ['a', 'b.c']],
    ['@.a.b', ['a.b']],
    ["'text'", []],
    ['`{"a": 1}`.b', []],
    ['(a || b).c', ['a', 'b']],
    ['*.a', []],
  ])('%s', (expression, expected) => {
    expect(named(expression)).toEqual(expected);
  });
});
