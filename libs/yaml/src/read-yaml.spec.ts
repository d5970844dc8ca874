import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { dump } from 'js-yaml';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject, type Json, pointerToken } from '#libs/kernel/src/json.js';

import { readYaml } from './read-yaml.js';

const LIMITS = { maxBytes: 64 * 1024, maxDepth: 64, maxValues: 5_000, onlyStorable: true };
const read = (source: string) => readYaml(source, LIMITS);
const documentOf = (source: string) => {
  const result = read(source);
  if ('problem' in result) throw new Error(`line ${result.problem.line}: ${result.problem.detail}`);
  return result.document;
};
const valueOf = (source: string): Json => {
  const found = read(source);
  return 'document' in found ? found.document.value : found.problem.detail;
};
const problemOf = (source: string) => {
  const result = read(source);
  return 'problem' in result ? result.problem : undefined;
};

const yaml = [
  '# first',
  'name: a rule',
  'conditions:',
  '  all:',
  '    - field: "data.x"',
  "    - { expression: 'a', b/c: [1, two] }",
  'empty:',
  'copy: &one { k: v }',
  'same: *one',
].join('\n');

describe('the position', () => {
  it.each([
    ['', [2, 1], [2, 1]],
    ['/name', [2, 7], [2, 1]],
    ['/conditions', [4, 3], [3, 1]],
    ['/conditions/all/0', [5, 7], [5, 7]],
    ['/conditions/all/0/field', [5, 14], [5, 7]],
    ['/conditions/all/1', [6, 7], [6, 7]],
    ['/conditions/all/1/b~1c/1', [6, 35], [6, 35]],
    ['/conditions/all/0/absent', [5, 7], [5, 7]],
    ['/empty', [7, 1], [7, 1]],
    ['/copy/k', [8, 17], [8, 14]],
    ['/same', [9, 8], [9, 1]],
    ['/same/k', [9, 8], [9, 8]],
    ['/nowhere/at/all', [2, 1], [2, 1]],
  ])('of %s is known, and of its key', (pointer, [line, column], [keyLine, keyColumn]) => {
    const document = documentOf(yaml);
    expect(document.position(pointer)).toEqual({ line, column });
    expect(document.keyPosition(pointer)).toEqual({ line: keyLine, column: keyColumn });
  });

  it('is found in JSON, with any end of line, and after characters of two units', () => {
    const { position } = documentOf('{\r\n  "name": "😀", "eventType": 5,\r  "actions": [\n    {"type": "x"}]\n}');
    expect(position('/eventType')).toEqual({ line: 2, column: 30 });
    expect(position('/actions/0/type')).toEqual({ line: 4, column: 14 });
  });
});

describe('the position in a text', () => {
  const text = [
    'plain: a == "b"',
    "single: 'it''s here'",
    'double: "a b"',
    'escaped: "a\\tb c"',
    'literal: |',
    '  one',
    '  two three',
    'folded: >-',
    '  one',
    '  two three',
    'copy: &x some text',
    'same: *x',
  ].join('\n');
  it.each([
    ['/plain', 'b', [1, 14]],
    ['/single', 's here', [2, 14]],
    ['/double', 'b', [3, 12]],
    ['/literal', 'three', [7, 7]],
    ['/folded', 'three', [10, 7]],
    ['/copy', 'text', [11, 15]],
    // An escape, an alias, and what is not there: the value.
    ['/escaped', 'c', [4, 10]],
    ['/same', 'text', [12, 8]],
    ['/nothing', 'x', [1, 1]],
  ])('of %s at "%s" is known', (pointer, part, [line, column]) => {
    const { value, positionIn } = documentOf(text);
    const whole = (value as Record<string, string>)[pointer.slice(1)] ?? '';
    expect(positionIn(pointer, whole.indexOf(part))).toEqual({ line, column });
  });
});

describe('a number', () => {
  test.each(['7615917337495251231', '1e400', '-12345678901234567890.5', '0.1000000000000000055'])(
    '%s keeps its digits',
    (digits) => expect(stringifyJson(valueOf(`id: ${digits}\n`))).toBe(`{"id":${digits}}`),
  );

  test('that JavaScript holds is a JavaScript number', () => {
    expect(valueOf('[1, 1.50, 1E2, -0, 0x10, 012, +5]\n')).toEqual([1, 1.5, 100, -0, 16, 12, 5]);
  });
});

describe('a text that is refused', () => {
  it.each([
    ['is not YAML', 'name: [x\nsteps: 1\n', 'yaml.malformed', 2, 1],
    ['has a key twice', 'name: x\nsteps: []\nname: y\n', 'yaml.duplicate_key', 3, 1],
    ['has a second document', 'name: x\nsteps: []\n---\nname: y\n', 'yaml.several_documents', 4, 1],
    ['has a tag', 'name: !!js/function x\n', 'yaml.tag', 1, 7],
    ['has an alias of nothing', 'name: *x\n', 'yaml.unknown_alias', 1, 8],
    ['has an alias of itself', 'name: &x [*x]\n', 'yaml.unknown_alias', 1, 12],
    ['has a number that a double cannot hold', 'name: x\nid: 0xabcdef0123456789\n', 'yaml.number', 2, 5],
    ['has a number without end', 'id: .inf\n', 'yaml.number', 1, 5],
    ['has a key that is a list', '? [a]\n: 1\n', 'yaml.key', 1, 3],
    ['has a key that is an alias', 'a: &x k\n? *x\n: 1\n', 'yaml.key', 2, 4],
    ['has a key that reaches into the prototype', 'name: x\n__proto__: { a: 1 }\n', 'yaml.key', 2, 1],
    ['holds NUL', 'name: "a\\0b"\n', 'yaml.bad_text', 1, 8],
    ['is half of a surrogate pair', '"\\ud800": 1\n', 'yaml.bad_text', 1, 2],
    ['is nested without end', `name: ${'['.repeat(500)}\n`, 'yaml.malformed', 1, expect.any(Number)],
    ['is too long', `a: "${'a'.repeat(LIMITS.maxBytes)}"`, 'yaml.too_large', 1, 1],
  ])('%s', (_, source, code, line, column) => {
    expect(problemOf(source)).toMatchObject({ code, line, column });
  });

  it('is an alias bomb, before it goes off', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(',')}]`);
    expect(problemOf(`l0: &l0 [x,x,x,x,x,x,x,x,x]\n${levels.join('\n')}\n`)?.code).toBe('yaml.too_many_values');
  });

  it('is deep only through its aliases', () => {
    const levels = Array.from({ length: 70 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}]`);
    expect(problemOf(`l0: &l0 x\n${levels.join('\n')}\n`)?.code).toBe('yaml.too_deep');
  });
});

describe('a text that is read', () => {
  it.each([
    ['', null],
    ['# nothing\n', null],
    ['---\n', null],
    ['a: 9007199254740991', { a: 9007199254740991 }],
    ['a: yes\nb: 0x10\nc: 1e3\nd: 2026-01-01\ne: "1"', { a: 'yes', b: 16, c: 1000, d: '2026-01-01', e: '1' }],
    ['a: &x { k: 1 }\nb: *x', { a: { k: 1 }, b: { k: 1 } }],
  ])('%j has the types of JSON', (source, value) => {
    expect(documentOf(source).value).toEqual(value);
  });

  const key = fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__');
  const { value: anyJson } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));

  it('gives back any JSON, written as JSON and as YAML', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(documentOf(JSON.stringify(value, null, 1)).value).toEqual(value);
        expect(documentOf(dump(value, { noRefs: true })).value).toEqual(value);
      }),
    );
  });

  it('has each value where its position says', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const text = JSON.stringify(value, null, 1);
        const lines = text.split('\n');
        const document = documentOf(text);
        const check = (part: Json, pointer: string): void => {
          const { line, column } = document.position(pointer);
          const start = Array.isArray(part) ? '[' : isObject(part) ? '{' : JSON.stringify(part);
          expect(lines[line - 1]!.slice(column - 1).startsWith(start)).toBe(true);
          if (typeof part === 'object' && part !== null)
            for (const [name, inner] of Object.entries(part)) check(inner, `${pointer}/${pointerToken(name)}`);
        };
        check(value, '');
      }),
    );
  });

  it('is anything at all: the reader never throws', () => {
    const parts = ['a', ': ', '\n', '  ', '- ', '[', ']', '{', '}', '&a ', '*a', '!', '"', "'", '|', '>', '#', '?'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...parts, '---', '\t', '\0', '\ud800'), { maxLength: 60 }), (text) => {
        const problem = problemOf(text.join(''));
        return problem === undefined || (problem.line >= 1 && problem.column >= 1);
      }),
      { numRuns: 500 },
    );
  });
});
