import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Rejected } from '#libs/kernel/src/errors.js';
import type { Json } from '#libs/kernel/src/json.js';

import { compileTemplate } from './template.js';
import { Cost } from './values.js';

const render = (value: Json, scope: unknown = {}): Json => compileTemplate(value).render(scope);
const scope = { n: 5, text: 'he said "hi"', nothing: null, list: [1, 'a'], object: { a: { b: 'c' } }, yes: true };

describe('a template', () => {
  it.each<[string, Json]>([
    ['${{ n }}', 5],
    ['${{ yes }}', true],
    ['${{ nothing }}', null],
    ['${{ missing }}', null],
    ['${{ list }}', [1, 'a']],
    ['${{object}}', { a: { b: 'c' } }],
    [' ${{ n }}', ' 5'],
    ['n is ${{ n }}, ${{ yes }}', 'n is 5, true'],
    ['[${{ nothing }}]', '[]'],
    ['${{ text }}!', 'he said "hi"!'],
    ['${{ list }} ${{ object }}', '[1,"a"] {"a":{"b":"c"}}'],
    ['${{ {x: {y: n}} }}', { x: { y: 5 } }],
    ["${{ '}}' }}", '}}'],
    ["${{ '${{' }} is how", '${{ is how'],
    ["${{ 'it\\'s }}' }}", "it's }}"],
    ['no template, $ {{ n }} }}', 'no template, $ {{ n }} }}'],
    ['', ''],
  ])('turns %j into %j', (value, wanted) => {
    expect(render(value, scope)).toEqual(wanted);
  });

  it('is filled in at any depth of a JSON value, and leaves keys and all else alone', () => {
    const value = { '${{ n }}': [1, null, true, { deep: ['${{ n }}'] }], plain: 'x' };
    expect(render(value, scope)).toEqual({ '${{ n }}': [1, null, true, { deep: [5] }], plain: 'x' });
  });

  it('keeps a key that is called __proto__', () => {
    const filled = render(JSON.parse('{"__proto__":"${{ n }}"}') as Json, scope) as object;
    expect(Object.getPrototypeOf(filled)).toBe(Object.prototype);
    expect(JSON.stringify(filled)).toBe('{"__proto__":5}');
  });

  it('names each of its expressions with the place', () => {
    const { expressions } = compileTemplate({ a: ['x ${{ n }} ${{ text }}'] }, '/with');
    expect(expressions.map(({ pointer, column, expression }) => [pointer, column, expression.source.trim()])).toEqual([
      ['/with/a/0', 6, 'n'],
      ['/with/a/0', 15, 'text'],
    ]);
  });

  it('is refused with a pointer and a column for every string that is wrong', () => {
    let refused: unknown;
    try {
      compileTemplate({ 'a/b': 'ok ${{ n == }}', c: ['${{ n', '${{ }}'], d: '${{ n }}' }, '/with');
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(Rejected);
    expect((refused as Rejected).code).toBe('expression.malformed');
    expect(
      (refused as Rejected).problems.map(({ pointer, detail }) => [pointer, /column \d+/.exec(detail)?.[0]]),
    ).toEqual([
      ['/with/a~1b', 'column 13'],
      ['/with/c/0', 'column 1'],
      ['/with/c/1', 'column 4'],
    ]);
  });

  it('is refused when it is nested too deep', () => {
    let value: Json = '${{ n }}';
    for (let i = 0; i < 70; i++) value = [value];
    expect(() => compileTemplate(value)).toThrow(/levels deep/);
  });

  it('is ended when a thousand places each take a large value', () => {
    const large = Array.from({ length: 50_000 }, (_, i) => i);
    const template = compileTemplate(Array<string>(1_000).fill('${{ large }}'));
    expect(() => template.render({ large })).toThrow(expect.objectContaining({ code: 'expression.too_costly' }));
  });

  it('pays from what it is given, so that several can be paid for together', () => {
    const template = compileTemplate(['${{ large }}', 'and ${{ large }}']);
    const cost = new Cost(50);
    template.render({ large: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, cost);
    expect(cost.left).toBe(30);
    template.render({ large: [1, 2, 3, 4] }, cost);
    expect(cost.left).toBe(20);
    expect(() => template.render({ large: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }, cost)).toThrow(/more than 50 steps/);
  });

  it('gives back every JSON value that holds no template', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes('${{'));
        expect(render(value as Json)).toEqual(value);
      }),
    );
  });

  it('gives back every value that it takes whole', () => {
    fc.assert(fc.property(fc.jsonValue(), (x) => expect(render('${{ x }}', { x })).toEqual(x ?? null)));
  });
});
