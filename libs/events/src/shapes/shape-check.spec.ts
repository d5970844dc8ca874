import { describe, expect, it } from '@jest/globals';
import { Type } from '@sinclair/typebox';

import { shapeProblems } from './shape-check.js';

const closed = { additionalProperties: false };
const Thing = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 10 }),
    times: Type.Optional(Type.Integer({ minimum: 0 })),
    mode: Type.Optional(Type.Union([Type.Literal('fast'), Type.Literal('slow')])),
    after: Type.Optional(Type.String({ pattern: '^\\d+s$', expected: 'a duration such as 30s' })),
    url: Type.Optional(Type.String({ format: 'uri' })),
    tags: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    targets: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Object({ id: Type.String() })]))),
    target: Type.Optional(Type.Union([Type.String(), Type.Object({ id: Type.String() })])),
    aim: Type.Optional(
      Type.Union([Type.String(), Type.Object({ id: Type.String() })], { expected: 'an id, or { id }' }),
    ),
    secret: Type.Optional(Type.String({ minLength: 16, writeOnly: true })),
    every: Type.Optional(
      Type.Object({ quiet: Type.String({ expected: 'a pause' }), max: Type.Optional(Type.String()) }, closed),
    ),
    anyOf: Type.Optional(Type.Array(Type.Object({ on: Type.Boolean() }, closed))),
  },
  closed,
);
const Kinds = Type.Object({
  how: Type.Union([
    Type.Object({ kind: Type.Literal('sign'), header: Type.String() }, closed),
    Type.Object({ kind: Type.Literal('show'), field: Type.String() }, closed),
  ]),
});
const problems = (value: unknown) => shapeProblems(Thing, value, { prefix: 'thing' });

describe('the check of a shape', () => {
  it.each([
    [{ kind: 'sign', field: 'a' }, ['/how/header', '/how/field']],
    [{ kind: 'show', field: 1 }, ['/how/field']],
    [{ kind: 'sing' }, ['/how/kind']],
    [{ header: 'a' }, ['/how/kind']],
  ])('looks at the kind that was meant: %j', (how, pointers) => {
    const found = shapeProblems(Kinds, { how }, { prefix: 'thing' });
    expect(found.map(({ pointer }) => pointer).sort()).toEqual([...pointers].sort());
  });

  it('suggests the kind that was meant', () => {
    const [problem] = shapeProblems(Kinds, { how: { kind: 'sing' } }, { prefix: 'thing' });
    expect(problem!.detail).toBe('Must be one of sign, show. Did you mean "sign"?');
  });

  it('has nothing to say about a value that fits', () => {
    expect(problems({ name: 'a', times: 1, mode: 'fast', after: '30s', url: 'https://example.com' })).toEqual([]);
  });

  it.each([
    [
      'a misspelt key',
      { name: 'a', tmies: 1 },
      '/tmies',
      'unknown_key',
      /^Unknown key "tmies"\. Did you mean "times"\? Allowed: name, /,
    ],
    ['a missing key', {}, '/name', 'missing_key', '"name" is required.'],
    [
      'a missing key that words itself',
      { name: 'a', every: {} },
      '/every/quiet',
      'missing_key',
      '"quiet" is required: a pause.',
    ],
    [
      'an object of few keys',
      { name: 'a', every: 'x' },
      '/every',
      'bad_value',
      'Must be an object { quiet, max? }. Got "x".',
    ],
    ['a wrong type', { name: 'a', times: 'often' }, '/times', 'bad_value', 'Must be a whole number. Got "often".'],
    ['a value that is not there', { name: null }, '/name', 'bad_value', 'Must be a string. Got nothing.'],
    ['a value out of range', { name: 'a', times: -1 }, '/times', 'bad_value', 'Must be at least 0. Got -1.'],
    [
      'a union of literals',
      { name: 'a', mode: 'late' },
      '/mode',
      'bad_value',
      'Must be one of fast, slow. Got "late".',
    ],
    [
      'a misspelt value',
      { name: 'a', mode: 'fats' },
      '/mode',
      'bad_value',
      'Must be one of fast, slow. Got "fats". Did you mean "fast"?',
    ],
    [
      'a union of types',
      { name: 'a', target: 1 },
      '/target',
      'bad_value',
      'Must be one of a string, an object. Got 1.',
    ],
    [
      'the only alternative of a union that has the type of the value',
      { name: 'a', target: {} },
      '/target/id',
      'missing_key',
      '"id" is required.',
    ],
    [
      'a union that words itself, as a whole',
      { name: 'a', aim: {} },
      '/aim',
      'bad_value',
      'Must be an id, or { id }. Got an empty object.',
    ],
    [
      'a schema that words itself',
      { name: 'a', after: 'soon' },
      '/after',
      'bad_value',
      'Must be a duration such as 30s. Got "soon".',
    ],
    ['a format', { name: 'a', url: 'example' }, '/url', 'bad_value', 'Must be a URL. Got "example".'],
    ['an empty string', { name: '' }, '/name', 'bad_value', 'Must be a string that is not empty. Got "".'],
    [
      'an empty list',
      { name: 'a', tags: [] },
      '/tags',
      'bad_value',
      'Must be a list with at least 1 entry. Got an empty list.',
    ],
    [
      'a long string',
      { name: 'a'.repeat(100) },
      '/name',
      'bad_value',
      `Must be at most 10 characters. Got "${'a'.repeat(40)}"…, 100 characters.`,
    ],
    [
      'a property with the name of a keyword',
      { name: 'a', anyOf: [{ on: 1 }] },
      '/anyOf/0/on',
      'bad_value',
      'Must be true or false. Got 1.',
    ],
    ['something else altogether', [], '', 'bad_value', 'Must be an object. Got an empty list.'],
  ])('names %s', (_, value, pointer, code, detail) => {
    const found = problems(value);
    expect(found).toMatchObject([{ pointer, code: `thing.${code}`, isKey: code === 'unknown_key' }]);
    expect(found[0]!.detail).toEqual(typeof detail === 'string' ? detail : expect.stringMatching(detail));
  });

  it('looks at each entry of a list by itself', () => {
    const found = problems({ name: 'a', targets: ['x', 1, {}, { id: 'y' }] });
    expect(found.map(({ pointer }) => pointer)).toEqual(['/targets/1', '/targets/2/id']);
  });

  it('names a required key that is misspelt once, as the key that is wrong', () => {
    expect(problems({ nmae: 'a' })).toMatchObject([{ pointer: '/nmae', code: 'thing.unknown_key' }]);
  });

  it('names every place at once, below the pointer that it is given', () => {
    const found = shapeProblems(Thing, { name: 1, times: 'x' }, { prefix: 'thing', pointer: '/with' });
    expect(found.map(({ pointer }) => pointer)).toEqual(['/with/name', '/with/times']);
  });

  it('does not repeat a secret', () => {
    expect(problems({ name: 'a', secret: 'hunter2' })[0]?.detail).toBe('Must be at least 16 characters.');
  });
});
