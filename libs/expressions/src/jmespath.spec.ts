import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import jmespath from 'jmespath';

import { Rejected } from '#libs/kernel/src/errors.js';

import { compile } from './compile.js';

const SUITE = join(process.cwd(), '../shared/data/jmespath');

interface Given {
  readonly given: unknown;
  readonly cases: readonly { expression: string; result?: unknown; error?: string; bench?: string }[];
}

/**
 * Where the official suite wants an error because of a value's type, Millrace answers `null` (or `false` to a
 * question): see docs/decisions/jmespath-semantics.md.
 */
const TOLERATED = new Set(['invalid-type']);

(existsSync(SUITE) ? describe : describe.skip)(
  'the official JMESPath compliance suite (skipped where ../shared/data/jmespath is missing)',
  () => {
    const files = existsSync(SUITE) ? readdirSync(SUITE).filter((name) => name.endsWith('.json')) : ['(missing)'];
    for (const file of files)
      it(`${file} holds`, () => {
        const groups = JSON.parse(readFileSync(join(SUITE, file), 'utf8')) as Given[];
        const wrong: string[] = [];
        for (const { given, cases } of groups)
          for (const { expression, result, error, bench } of cases) {
            if (bench !== undefined) continue;
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
  },
);
void fc;
void jmespath;
