import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { MAX_HOPS } from '#libs/events/src/envelope.js';
import { MAX_STEPS } from '#libs/expressions/src/values.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { MAX_REQUEST_BYTES } from '#libs/rules/src/decisions/decision-events.js';
import { BASIC_STEPS } from '#libs/rules/src/engine/evaluate-rule.js';
import { checkRule } from '#libs/rules/src/language/definition.js';
import { MAX_RULES } from '#libs/rules/src/rule/rule-rows.adapter.js';

/** The table of limits, held against the program: what is at a limit is accepted, one more is refused with its code. */

const text = readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8');
const table = /^## Limits\n.*?\n(\|.*?)\n\n/ms.exec(text)![1]!;
const rows = new Map(
  table
    .split('\n')
    .slice(2)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, limit = '', most = '', beyond = '']) => [limit, { most, beyond }]),
);
const numberIn = (words: string): number => Number(/[\d,]+/.exec(words)![0].replaceAll(',', ''));

const rule = (more: object = {}) => ({ name: 'a', eventType: 'git.push', ...more });
const asking = (expression: string) => rule({ conditions: { expression } });
const matching = (value: string) => rule({ conditions: { field: 'data.x', operator: 'matches', value } });
const action = { type: 'create_issue', with: { title: 'look' } };
/** So many days; a minute more instead of the 31st. */
const days = (size: number) => `${size * 24 * 60 + (size > 30 ? 1 - 24 * 60 : 0)}m`;
const nested = (levels: number, inner: unknown, around: (value: unknown) => unknown): unknown =>
  levels === 0 ? inner : nested(levels - 1, around(inner), around);
const leaf = { field: 'data.x', operator: 'exists' };
/** A rule of so many bytes as JSON, whatever else is allowed. */
const ofBytes = (bytes: number) => {
  const of = (value: string) => rule({ conditions: { field: 'data.x', operator: 'equals', value } });
  return of('x'.repeat(bytes - JSON.stringify(of('')).length));
};

/** A rule of the size that is given, for each limit of a rule, in the order of the table. */
const SIZED: Readonly<Record<string, (size: number) => object>> = {
  'a rule as JSON': (size) => ofBytes(size * 1024 + (size > 64 ? -1023 : 0)),
  '`name`': (size) => rule({ name: 'x'.repeat(size) }),
  '`description`': (size) => rule({ description: 'x'.repeat(size) }),
  '`eventSource`': (size) => rule({ eventSource: 'x'.repeat(size) }),
  '`eventType`': (size) => rule({ eventType: 'x'.repeat(size) }),
  'conditions, groups counted': (size) => rule({ conditions: { all: Array(size - 1).fill(leaf) } }),
  'groups in each other': (size) => rule({ conditions: nested(size, leaf, (not) => ({ not })) }),
  actions: (size) => rule({ actions: Array(size).fill(action) }),
  'an expression': (size) => asking('a'.repeat(size)),
  'levels of an expression': (size) => asking(`${'('.repeat(size - 1)}a${')'.repeat(size - 1)}`),
  '`with` of an action': (size) =>
    rule({ actions: [{ type: 'create_issue', with: { title: nested(size - 1, 'a', (value) => [value]) } }] }),
  'a regular expression': (size) => matching('x'.repeat(size)),
  '`throttle.limit`': (size) => rule({ throttle: { limit: size, per: '1m' } }),
  '`throttle.per`': (size) => rule({ throttle: { limit: 1, per: days(size) } }),
  '`once.quiet`, `debounce.quiet`': (size) => rule({ once: { quiet: days(size) } }),
  '`debounce.maxWait`': (size) => rule({ debounce: { quiet: '1m', maxWait: days(size) } }),
};

/** The code of the answer and those of its problems. */
function codesOf(json: object): readonly string[] {
  try {
    checkRule(json);
    return [];
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return [error.code, ...error.problems.flatMap(({ code }) => code ?? [])];
  }
}

describe('the limits in docs/rules.md', () => {
  it.each(Object.entries(SIZED))('%s: as it is written, and refused with its code beyond', (limit, sized) => {
    const { most, beyond } = rows.get(limit)!;
    expect(codesOf(sized(numberIn(most)))).toEqual([]);
    const written = [...beyond.matchAll(/`([^`]+)`/g)].map(([, code]) => code);
    expect(codesOf(sized(numberIn(most) + 1))).toEqual(written);
  });

  it('a regular expression, compiled: as it is written', () => {
    const { most, beyond } = rows.get('a regular expression, compiled')!;
    const problem = (pattern: string): string => {
      try {
        checkRule(matching(pattern));
        return '';
      } catch (error) {
        expect(`\`${(error as Rejected).code}\``).toBe(beyond);
        return (error as Rejected).problems[0]!.detail;
      }
    };
    expect(problem('(ab){499}')).toBe('');
    expect(problem('(ab){500}')).toContain(`instructions, at most ${numberIn(most)}`);
  });

  it('the others: as the program has them', () => {
    const most = (limit: string): string => rows.get(limit)!.most;
    expect(numberIn(most('rules of an organisation, without archived'))).toBe(MAX_RULES);
    expect(most('evaluating a rule for an event').match(/[\d,]{6,}/g)).toEqual(
      [BASIC_STEPS, MAX_STEPS].map((steps) => steps.toLocaleString('en')),
    );
    expect(most('filling in all actions of a rule')).toContain('as much as evaluating it');
    expect(numberIn(most('an action, filled in')) * 1024).toBe(MAX_REQUEST_BYTES);
    expect(numberIn(most('causes before an event that rules act on'))).toBe(MAX_HOPS);
  });

  it('are all looked at here', () => {
    const others = [
      'rules of an organisation, without archived',
      'a regular expression, compiled',
      'evaluating a rule for an event',
      'filling in all actions of a rule',
      'an action, filled in',
      'causes before an event that rules act on',
      'events that one event leads to',
    ];
    expect([...rows.keys()].sort()).toEqual([...Object.keys(SIZED), ...others].sort());
  });
});
