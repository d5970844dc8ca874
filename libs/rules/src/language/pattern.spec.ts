import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RE2JS } from 're2js';

import { Cost, MAX_STEPS } from '#libs/expressions/src/values.js';

import { BASIC_STEPS } from '../engine/evaluate-rule.js';
import { testOf } from './operators.js';

const LIMIT = 1_000_000_000;
function stepsOf(pattern: string, text: string): number {
  const cost = new Cost(LIMIT);
  testOf('matches', pattern)(text, cost);
  return LIMIT - cost.left;
}
const prose = (length: number): string =>
  'closes the door, fixes #12 - it was 5.6: see é@b '.repeat(Math.ceil(length / 40)).slice(0, length);

describe('what a regular expression costs', () => {
  it.each([
    [
      'a branch',
      250,
      ['^refs/heads/', '^feature/[a-z]+$', '^(release|hotfix)/v?\\d+(\\.\\d+){0,2}$', '(?i)^renovate/.*'],
    ],
    [
      'a title',
      250,
      ['^(feat|fix|chore|docs)(\\(.+\\))?!?: .+', '[A-Z]{2,10}-[0-9]+', '(?i)\\bwip\\b', '(?:\\pL+ ?){10}!'],
    ],
    [
      'a description',
      5_000,
      ['(?i)(fix(es|ed)?|close[sd]?|resolve[sd]?) #\\d+', '(?i)[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}'],
    ],
    ['a log', 60_000, ['(?i)error|warning|fatal|panic', '\\d+\\.\\d+\\.\\d+', '\\bexit code [1-9]']],
  ])('is no matter with %s', (_, length, patterns) => {
    for (const pattern of patterns) expect(stepsOf(pattern, prose(length))).toBeLessThan(BASIC_STEPS + length);
  });

  it.each(['^refs/heads/', 'hotfix', '(?i)hotfix', '(?i)\\bhotfix\\b|revert', 'hotfix$'])(
    'lets %s look through the largest event',
    (pattern) => expect(stepsOf(pattern, prose(1_048_576))).toBeLessThan(MAX_STEPS / 2),
  );

  // What re2js takes at worst: 25 ns for a character and an instruction, where a step is to be some 50 ns.
  it.each([
    '(?i)(?:[\\pL\\pN]+ ?){60}!',
    '(?:a|b)*a(?:a|b){80}c',
    '(?:.*a){60}x',
    '(?:a?){200}(?:a){200}b',
    '\\b(?:\\w+\\b\\W*){50}zz\\b',
    '(?:[\\pL]+[\\pN]*){100}!',
    '[^x]{200}x',
  ])('is about half a step for a character and an instruction of %s', (pattern) => {
    const size = RE2JS.compile(pattern).programSize();
    const perPair = stepsOf(pattern, prose(8_000)) / (8_000 * size);
    expect(perPair).toBeGreaterThan(0.3);
    expect(perPair).toBeLessThanOrEqual(0.5);
    expect(() => testOf('matches', pattern)(prose(8_000), new Cost(BASIC_STEPS + 8_000))).toThrow(/steps/);
  });

  it('is never less for a longer text or a larger pattern', () => {
    for (const [small, large] of [
      [10, 20],
      [20, 40],
      [40, 400],
    ] as const) {
      expect(stepsOf(`.{${large}}x`, prose(1_000))).toBeGreaterThan(stepsOf(`.{${small}}x`, prose(1_000)));
      expect(stepsOf('.{30}x', prose(large))).toBeGreaterThan(stepsOf('.{30}x', prose(small)));
    }
  });
});

describe('a pattern of words', () => {
  it('finds what every other search finds', () => {
    const word = fc.array(fc.constantFrom('a', 'b', 'ab', '\\.', '^', '$', '|', '\\b', ' ', 'k', 'ſ'), {
      maxLength: 8,
    });
    const pattern = fc.tuple(fc.boolean(), word).map(([fold, parts]) => `${fold ? '(?i)' : ''}${parts.join('')}`);
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'A', 'B', '.', ' ', '\n', 'K', '\u212a', 's'),
      maxLength: 20,
    });
    fc.assert(
      fc.property(pattern, text, (given, looked) => {
        expect(testOf('matches', given)(looked, new Cost())).toBe(RE2JS.compile(given).matcher(looked).find());
      }),
      { numRuns: 800 },
    );
  });
});
