import { describe, expect, it } from '@jest/globals';

import { placesOf } from './yaml-places.js';

const yaml = [
  '# rul_1',
  'name: a rule',
  'conditions:',
  '  all:',
  '    - field: "data.x"',
  '      operator: equals',
  "    - { expression: 'a', b/c: [1, two] }",
  'actions: []',
  'empty:',
  'copy: &one { k: v }',
  'same: *one',
].join('\n');

describe('the place of a value', () => {
  it.each([
    ['', 2, 1],
    ['/name', 2, 7],
    ['/conditions', 3, 1],
    ['/conditions/all/0/field', 5, 14],
    ['/conditions/all/0/operator', 6, 17],
    ['/conditions/all/0/value', 5, 7],
    ['/conditions/all/1', 7, 7],
    ['/conditions/all/1/expression', 7, 21],
    ['/conditions/all/1/b~1c/1', 7, 35],
    ['/actions/3', 8, 1],
    ['/empty', 9, 1],
    ['/copy/k', 10, 17],
    ['/same/k', 11, 8],
    ['/nowhere/at/all', 2, 1],
  ])('%s is %d:%d', (pointer, line, column) => {
    expect(placesOf(yaml, 100)(pointer)).toEqual({ line, column });
  });

  it('is found in JSON, with any end of line, and after characters of two units', () => {
    const json = '{\r\n  "name": "😀", "eventType": 5,\r  "actions": [\n    {"type": "x"}]\n}';
    const place = placesOf(json, 100);
    expect(place('/eventType')).toEqual({ line: 2, column: 30 });
    expect(place('/actions/0/type')).toEqual({ line: 4, column: 14 });
  });

  it('is the beginning where there is nothing', () => {
    expect(placesOf('', 100)('/name')).toEqual({ line: 1, column: 1 });
    expect(placesOf('[1]', 100)('/0')).toEqual({ line: 1, column: 2 });
    expect(placesOf('? [a]\n: b\nname: c', 100)('/name')).toEqual({ line: 3, column: 7 });
  });
});
