import { describe, expect, it } from '@jest/globals';
import { type Static, Type } from '@sinclair/typebox';

import { changes, closed, defaulted, kept, shown, withDefaults } from './fields.js';
import { withDefinitions } from './named-shapes.js';
import { shapeProblems } from './shape-check.js';

const fields = {
  url: Type.String({ minLength: 3 }),
  format: defaulted(Type.Union([Type.Literal('short'), Type.Literal('long')]), 'short'),
  filter: Type.Optional(Type.String({ minLength: 2, expected: 'a filter' })),
  mode: Type.Optional(Type.Union([Type.Literal('a'), Type.Literal('b')])),
};
const problems = (schema: Parameters<typeof shapeProblems>[0], value: unknown) =>
  shapeProblems(schema, value, { prefix: 'thing' }).map(({ pointer, detail }) => `${pointer} ${detail}`);

describe('the fields of a thing', () => {
  it('are sent to create it: what has a default or may be absent can be left out', () => {
    const shape = closed(fields);
    expect(problems(shape, { url: 'abc' })).toEqual([]);
    expect(problems(shape, { format: 'long' })).toEqual(['/url "url" is required.']);
    expect(problems(shape, { url: 'abc', filter: null })).toEqual(['/filter Must be a filter. Got nothing.']);
  });

  it('are kept with their defaults, in the order of the fields and without what nobody knows', () => {
    const given: Static<typeof KeptThing> = withDefaults(fields, { filter: 'xy', url: 'abc', odd: 1 });
    expect(JSON.stringify(given)).toBe('{"url":"abc","format":"short","filter":"xy"}');
    expect(problems(KeptThing, given)).toEqual([]);
    expect(problems(KeptThing, { url: 'abc' })).toEqual(['/format "format" is required.']);
  });
  const KeptThing = Type.Object(kept(fields));

  it('are sent to change it: each can be left out, and null removes what may be absent', () => {
    const shape = closed(changes(fields));
    expect(problems(shape, {})).toEqual([]);
    const removed: Static<typeof shape> = { filter: null, mode: null };
    expect(problems(shape, removed)).toEqual([]);
    expect(problems(shape, { filter: 'x' })).toEqual(['/filter Must be a filter, or null. Got "x".']);
    expect(problems(shape, { mode: 'c' })).toEqual(['/mode Must be one of a, b, null. Got "c". Did you mean "a"?']);
    expect(problems(shape, { url: null, format: null })).toEqual([
      '/url Must be a string. Got nothing.',
      '/format Must be one of short, long. Got nothing.',
    ]);
    expect(JSON.stringify(shape)).not.toContain('default');
  });

  it('are answered all of them, with null for what is absent', () => {
    const shape = Type.Object(shown(fields));
    const answer: Static<typeof shape> = { url: 'abc', format: 'short', filter: null, mode: null };
    expect(problems(shape, answer)).toEqual([]);
    expect(problems(shape, { url: 'abc', format: 'short' })).toEqual([
      '/filter "filter" is required: a filter, or null.',
      '/mode "mode" is required.',
    ]);
  });
});

describe('named schemas', () => {
  it('are written out once, also where they refer to themselves', () => {
    const Node = Type.Recursive((node) => Type.Object({ next: Type.Optional(node) }), { $id: 'Node' });
    const { document, definitions } = withDefinitions(
      { a: Node, b: [{ c: Node }], d: { $ref: '#/other', expected: 'a d' }, example: { expected: 'kept' } },
      '#/defs/',
    );
    const ref = { $ref: '#/defs/Node' };
    expect(document).toEqual({ a: ref, b: [{ c: ref }], d: { $ref: '#/other' }, example: { expected: 'kept' } });
    expect(definitions).toEqual({ Node: { type: 'object', properties: { next: ref } } });
  });
});
