import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { compile } from './compile.js';
import { conjunctsOf } from './conjuncts.js';

describe('the parts of a conjunction', () => {
  it.each<[string, readonly string[]]>([
    ['a', ['a']],
    ["a && b == 'x && y' && !(c)", ['a', "b == 'x && y'", '!(c)']],
    ['(a && b) && list[?x && y] && {k: a && b}', ['(a && b)', 'list[?x && y]', '{k: a && b}']],
    ['a && b || c', ['a && b || c']],
    ['a && b | c', ['a && b | c']],
    ['sort_by(list, &x) && a[0] && a[]', ['sort_by(list, &x)', 'a[0]', 'a[]']],
  ])('of %s', (expression, parts) => {
    expect(conjunctsOf(expression)).toEqual(parts);
  });

  it('are all true exactly where the whole is', () => {
    const leaf = fc.constantFrom('a', 'b', '!(a)', 'a == b', "contains(b, 'x')", '(a || b)', 'list[?a && b]', '[a, b]');
    const operator = fc.constantFrom('&&', '&&', '||');
    const scope = fc.record({
      a: fc.constantFrom(null, false, true, 'x'),
      b: fc.constantFrom(null, 'x', ''),
      list: fc.constantFrom(null, [], [{ a: 1, b: 1 }]),
    });
    fc.assert(
      fc.property(
        fc.array(leaf, { minLength: 1, maxLength: 5 }),
        fc.array(operator, { minLength: 5 }),
        scope,
        (leaves, operators, given) => {
          const [first, ...rest] = leaves;
          const expression = rest.reduce<string>((text, one, index) => `${text} ${operators[index]} ${one}`, first!);
          const parts = conjunctsOf(expression);
          expect(parts.every((part) => compile(part).test(given))).toBe(compile(expression).test(given));
        },
      ),
    );
  });
});
