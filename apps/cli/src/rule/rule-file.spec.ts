import { describe, expect, it } from '@jest/globals';

import { parseDocument, placeOf } from './rule-file.js';

const place = (text: string) => (pointer: string) => placeOf(parseDocument(text, 'x.yaml'), pointer);

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
    expect(place(yaml)(pointer)).toEqual({ line, column });
  });

  it('is found in JSON, with any end of line, and after characters of two units', () => {
    const json = '{\r\n  "name": "😀", "eventType": 5,\r  "actions": [\n    {"type": "x"}]\n}';
    const at = place(json);
    expect(at('/eventType')).toEqual({ line: 2, column: 30 });
    expect(at('/actions/0/type')).toEqual({ line: 4, column: 14 });
  });

  it('is the beginning where there is nothing', () => {
    expect(place('')('/name')).toEqual({ line: 1, column: 1 });
    expect(place('[1]')('/0')).toEqual({ line: 1, column: 2 });
  });
});
