import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import jmespath from 'jmespath';

import { Rejected } from '#libs/kernel/src/errors.js';

import { compile } from './compile.js';

/** The official suite; its README says where it comes from. */
const SUITE = new URL('../fixtures/jmespath/', import.meta.url);

interface Given {
  readonly given: unknown;
  readonly cases: readonly { expression: string; result?: unknown; error?: string }[];
}

/**
 * Where the official suite wants an error because of a value's type, Millrace answers `null` (or `false` to a
 * question): see docs/decisions/jmespath-semantics.md.
 */
const TOLERATED = new Set(['invalid-type']);

describe('the official JMESPath compliance suite', () => {
  it.each(readdirSync(SUITE).filter((name) => name.endsWith('.json')))('%s holds', (file) => {
    const groups = JSON.parse(readFileSync(new URL(file, SUITE), 'utf8')) as Given[];
    const wrong: string[] = [];
    for (const { given, cases } of groups)
      for (const { expression, result, error } of cases) {
        let actual: unknown;
        try {
          actual = compile(expression).evaluate(given);
        } catch (refused) {
          if (!(refused instanceof Rejected)) wrong.push(`${expression}: threw ${String(refused)}`);
          else if (error === undefined) wrong.push(`${expression}: refused: ${refused.message}`);
          continue;
        }
        if (error !== undefined) {
          if (!TOLERATED.has(error) || (actual !== null && actual !== false))
            wrong.push(`${expression}: ${error} expected, got ${JSON.stringify(actual)}`);
        } else if (JSON.stringify(actual) !== JSON.stringify(result))
          wrong.push(`${expression}: ${JSON.stringify(result)} expected, got ${JSON.stringify(actual)}`);
      }
    expect(wrong).toEqual([]);
  });
});

/** Texts of expressions in the grammar that both understand, over the fields of {@link document}. */
const { expression } = fc.letrec<{ expression: string; value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom('a', 'b', 'c', '"d e"', '@', 'a.b', 'a.c', 'b[0]', 'b[-1]', 'c.a', 'missing'),
    fc.constantFrom('`1`', '`2.5`', '`null`', '`true`', '`[]`', '`{}`', '`[1,2]`', '`"a"`', "'a'", "''", "'it\\'s'"),
    tie('expression').map((inner) => `(${inner})`),
    fc.tuple(tie('value'), fc.constantFrom('a', 'b', 'c', '*', '[a, b]', '{x: a, y: b}')).map(([l, r]) => `${l}.${r}`),
    fc
      .tuple(
        tie('value'),
        fc.constantFrom('[0]', '[-1]', '[*]', '[]', '[1:]', '[::-1]', '[:2]', '[?a]', '[?@ == `1`].a'),
      )
      .map(([l, r]) => (l.startsWith('`') || l.startsWith("'") ? `(${l})${r}` : `${l}${r}`)),
    fc.tuple(fc.constantFrom('to_array', 'type', 'to_string', 'not_null'), tie('value')).map(([f, v]) => `${f}(${v})`),
  ),
  expression: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    tie('value'),
    tie('value').map((inner) => `!(${inner})`),
    fc.tuple(tie('value'), fc.constantFrom('==', '!=', '||', '&&', '|'), tie('value')).map((parts) => parts.join(' ')),
  ),
}));

const leaf = fc.oneof(
  fc.constantFrom(null, true, false, 0, 1, 2, -1, 2.5, '', 'a', 'b', "it's", '2026-01-01'),
  fc.string({ maxLength: 3 }),
);
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 4, depthSize: 'medium' },
    leaf,
    fc.array(tie('document'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd e', 'x'), tie('document'), { maxKeys: 4 }),
  ),
}));

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

describe('own evaluation and jmespath.search', () => {
  it('agree on whatever both understand', () => {
    fc.assert(
      fc.property(expression, document, (text, data) => {
        // In parentheses the library stops after a first @ and drops the rest: to it (@[0]) is @.
        fc.pre(!/\(@[^)]/.test(text));
        const scope = plain(data);
        let wanted: unknown;
        try {
          wanted = jmespath.search(scope, text);
        } catch {
          // The library throws where a value is missing; that is what the platform must not do.
          expect(() => compile(text).evaluate(scope)).not.toThrow();
          return;
        }
        expect({ text, result: plain(compile(text).evaluate(scope)) }).toEqual({ text, result: plain(wanted) });
      }),
      { numRuns: 800 },
    );
  });

  it.each(['<', '<=', '>', '>='])('agree on numbers %s numbers and strings with strings', (operator) => {
    const pair = fc.oneof(fc.tuple(fc.integer(), fc.integer()), fc.tuple(fc.string(), fc.string()));
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const text = `a ${operator} b`;
        expect(compile(text).evaluate({ a, b })).toBe(jmespath.search({ a, b }, text));
      }),
    );
  });
});
