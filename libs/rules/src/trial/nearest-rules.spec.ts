import { describe, expect, it } from '@jest/globals';

import { nearestRules, type RuleFilter } from './nearest-rules.js';

const recordedAt = new Date('2026-11-20T12:00:00Z');
const push = { type: 'git.push', source: 'github', recordedAt };
const rule = (name: string, more: Partial<RuleFilter> = {}): RuleFilter => ({
  id: `rul_${name}`,
  name,
  status: 'enabled',
  eventSource: '*',
  eventType: 'git.push',
  createdAt: new Date('2026-11-01T00:00:00Z'),
  ...more,
});
const near = (...rules: RuleFilter[]) =>
  nearestRules(push, rules, 10).map(({ ruleName, reason }) => [ruleName, reason]);

describe('rules without a verdict on an event', () => {
  it('come with the reason, those that were closest to looking at it first', () => {
    expect(
      near(
        rule('both', { eventSource: 'slack', eventType: 'message.received' }),
        rule('far', { eventType: 'release.published' }),
        rule('kin', { eventType: 'git.tag_pushed' }),
        rule('lab', { eventSource: 'gitlab' }),
        rule('new', { createdAt: new Date('2026-11-20T13:00:00Z') }),
        rule('off', { status: 'disabled' }),
        rule('changed'),
      ),
    ).toEqual([
      ['off', 'disabled'],
      ['changed', 'changed_later'],
      ['new', 'created_later'],
      ['lab', 'source'],
      ['kin', 'type'],
      ['far', 'type'],
      ['both', 'both'],
    ]);
  });

  it('know globs, and that * leaves out what the engine says', () => {
    expect(near(rule('globs', { eventSource: 'git*', eventType: 'git.*', status: 'disabled' }))).toEqual([
      ['globs', 'disabled'],
    ]);
    const failed = { type: 'webhook.failed', source: 'millrace', recordedAt };
    expect(nearestRules(failed, [rule('all', { eventType: '*' })], 1)).toMatchObject([{ reason: 'type' }]);
  });

  it('are as many as asked for', () => {
    expect(nearestRules(push, [rule('a'), rule('b'), rule('c')], 2).map(({ ruleName }) => ruleName)).toEqual([
      'a',
      'b',
    ]);
  });
});
