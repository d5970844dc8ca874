import { describe, expect, it } from '@jest/globals';

import { catalogue } from '#libs/events/src/catalogue.js';
import { copiedFields, isAuthored, isCopied, leavesOf, PLAIN } from '#libs/events/src/personal/copied-fields.js';

describe('fields that may hold what was taken from another event', () => {
  const leaves = Object.entries(catalogue).flatMap(([type, { data }]) =>
    isAuthored(type) ? [] : leavesOf(type, data).map((leaf) => ({ type, ...leaf })),
  );

  it('every text of every event type is marked as copied or as plain', () => {
    const undecided = leaves.filter((leaf) => !isCopied(leaf) && !leaf.names.some((name) => PLAIN.has(name)));
    expect(undecided.map(({ type, path }) => `${type}: ${path.map(String).join('.')}`)).toEqual([]);
  });

  it('the list of plain fields names only fields that exist', () => {
    const names = new Set(leaves.flatMap((leaf) => leaf.names));
    expect([...PLAIN].filter((name) => !names.has(name))).toEqual([]);
  });

  it('finds marked fields inside lists and maps', () => {
    const paths = (type: string) => copiedFields(type).map((path) => path.map(String).join('.'));
    expect(paths('rule.evaluated')).toContain('decisions.Symbol(every).failed.actual');
    expect(paths('workflow.started')).toContain('inputs.Symbol(every)');
    expect(paths('issue.requested')).toEqual(expect.arrayContaining(['title', 'body', 'labels.Symbol(every)']));
    expect(paths('acme.something')).toEqual(['Symbol(every)']);
    expect(paths('rule.created')).toEqual([]);
  });
});
