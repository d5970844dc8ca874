import { describe, expect, it } from '@jest/globals';
import { Type } from '@sinclair/typebox';

import { lint } from './lint.js';
import type { JsonSchema } from './schema.js';

const schema = Type.Object({
  type: Type.String(),
  data: Type.Object({
    branch: Type.String(),
    payload: Type.Optional(Type.Unknown()),
    commits: Type.Array(Type.Object({ id: Type.String(), author: Type.Object({ name: Type.String() }) })),
    extra: Type.Record(Type.String(), Type.Object({ n: Type.Number() })),
    either: Type.Union([Type.Object({ a: Type.Number() }), Type.Object({ b: Type.Number() })]),
  }),
}) as JsonSchema;

const found = (expression: string) => lint(expression, { schema }).map(({ code, column }) => [code, column]);

describe('the linter', () => {
  it.each([
    ['data.branch == "main"', [['expression.double_quotes', 16]]],
    ['"main" == data.branch', [['expression.double_quotes', 1]]],
    ['starts_with(data.branch, "release/")', [['expression.double_quotes', 26]]],
    ['data.payload.draft == true', [['expression.bare_literal', 23]]],
    ['data.payload.draft == null', [['expression.bare_literal', 23]]],
    ['!data.payload', [['expression.not_binding', 1]]],
    ['data.branch && !data.payload[0]', [['expression.not_binding', 16]]],
    ['data.brnch', [['expression.unknown_field', 6]]],
    ['dta.branch', [['expression.unknown_field', 1]]],
    ['data.commits[0].author.nme', [['expression.unknown_field', 24]]],
    ['data.commits[*].autor', [['expression.unknown_field', 17]]],
    ['data.commits[?autor]', [['expression.unknown_field', 15]]],
    ['data.commits[-1:].autor', [['expression.unknown_field', 19]]],
    ['map(&autor, data.commits)', [['expression.unknown_field', 6]]],
    ['data.commits | [0].autor', [['expression.unknown_field', 20]]],
    ['data.extra.anything.m', [['expression.unknown_field', 21]]],
    ['data.either.c', [['expression.unknown_field', 13]]],
    ['data.branch.name', [['expression.unknown_field', 13]]],
    ['{x: data.brnch}', [['expression.unknown_field', 10]]],
    ['length(data.payload.tags) > `2`', [['expression.may_be_missing', 8]]],
    ["contains(data.payload, 'x')", [['expression.may_be_missing', 10]]],
    ["starts_with(data.extra.anything, 'x')", [['expression.may_be_missing', 13]]],
    ["join(', ', data.payload.names[*].first)", [['expression.may_be_missing', 12]]],
    ['max_by(data.payload.list, &n).n', [['expression.may_be_missing', 8]]],
    ['length(data.commits[0].id)', [['expression.may_be_missing', 8]]],
    ['data.commits[?length(data)]', [['expression.unknown_field', 22]]],
    ['length(data.payload || data.extra.x)', [['expression.may_be_missing', 8]]],
  ])('is suspicious of %s', (expression, wanted) => {
    expect(found(expression)).toEqual(wanted);
  });

  it.each([
    "data.branch == 'main'",
    '!(data.payload.draft)',
    '!data',
    '!(data.payload) || !(data.branch)',
    'data.payload.anything.at.all',
    'data.payload[*].x[?y == `1`]',
    'data.extra.anything.n',
    'data.either.a || data.either.b',
    'data.commits[0].author.name',
    'length(data.commits) > `0`',
    'length(data.payload.tags || `[]`) > `2`',
    "contains(data.payload.name || '', 'x')",
    "starts_with(data.branch, 'release/')",
    "data.commits[?contains(id, 'a')]",
    "join(', ', data.commits[*].id)",
    'to_string(data.payload.x)',
    'not_null(data.payload.x, data.branch)',
    'length(keys(data.extra))',
    '"data"."branch"',
    'sort_by(data.commits, &author.name)[0].id',
  ])('has nothing against %s', (expression) => {
    expect(found(expression)).toEqual([]);
  });

  it('suggests the field that was probably meant', () => {
    expect(lint('data.brnch', { schema })[0]!.message).toContain('Did you mean "branch"?');
  });

  it('says how a text, a value and a negation are written', () => {
    expect(lint('a == "main"')[0]!.message).toContain("'main'");
    expect(lint('a == true')[0]!.message).toContain('`true`');
    expect(lint('!a.b')[0]!.message).toContain('!(data.draft)');
  });

  it('says what to write for a field that may be missing', () => {
    expect(lint('length(data.payload.tags)', { schema })[0]!.message).toContain('|| `[]`');
    expect(lint("contains(data.payload.x, 'y')", { schema })[0]!.message).toMatch(/returns false.*\|\| ''/);
  });

  it('knows of no missing field where it knows no schema', () => {
    expect(lint('length(whatever.there)')).toEqual([]);
  });

  it('knows no unknown field where it knows no schema', () => {
    expect(lint('whatever.there[0].is')).toEqual([]);
  });
});
