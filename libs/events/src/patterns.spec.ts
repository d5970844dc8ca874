import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { catalogue, isSystemType } from './catalogue.js';
import { globMatcher, isWide, typeMatcher } from './patterns.js';

describe('a pattern of event types', () => {
  it('matches a type by its name alone', () => {
    const matches = typeMatcher(['git.push']);
    expect(matches('git.push')).toBe(true);
    expect(matches('git.pushed')).toBe(false);
    expect(matches('git.pus')).toBe(false);
  });

  it('takes globs', () => {
    const matches = typeMatcher(['pr.*', '*.created']);
    expect(matches('pr.opened')).toBe(true);
    expect(matches('comment.created')).toBe(true);
    expect(matches('prx.opened')).toBe(false);
  });

  it('means by * everything that is not about the engine itself, and no webhook.* but what came in', () => {
    const matches = typeMatcher(['*']);
    expect(matches('git.push')).toBe(true);
    expect(matches('webhook.received')).toBe(true);
    expect(matches('acme.custom_thing')).toBe(true);
    expect(matches('webhook.failed')).toBe(false);
    expect(matches('webhook.delivered')).toBe(false);
    expect(matches('webhook.requested')).toBe(false);
    expect(matches('action.refused')).toBe(false);
  });

  it('gives what * leaves out to whoever names it', () => {
    expect(typeMatcher(['webhook.*'])('webhook.failed')).toBe(true);
    expect(typeMatcher(['*', 'action.refused'])('action.refused')).toBe(true);
  });
});

describe('a wide glob', () => {
  const types = fc.constantFrom(...Object.keys(catalogue), 'acme.failed', 'webhookish.failed');
  const patterns = fc
    .array(fc.constantFrom('*', '**', 'w*', '*k', 'webhook', 'failed', 'rule', '*ed', 'r*le', 'issue'), {
      minLength: 1,
      maxLength: 3,
    })
    .map((segments) => segments.join('.'));

  it('matches what * matches, as far as it fits, whatever its form', () => {
    fc.assert(
      fc.property(patterns, types, (pattern, type) => {
        const fits = globMatcher(pattern)(type);
        expect(typeMatcher([pattern])(type)).toBe(isWide(pattern) ? fits && typeMatcher(['*'])(type) : fits);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['*.*', '*.failed', 'w*.failed', '*k.failed', '**', '*.f*'])('never matches our own types: %s', (pattern) => {
    expect(typeMatcher([pattern])('webhook.failed')).toBe(false);
    expect(
      Object.keys(catalogue)
        .filter(isSystemType)
        .filter(typeMatcher([pattern])),
    ).toEqual([]);
    expect(typeMatcher([pattern])('walk.failed')).toBe(true);
  });
});

describe('a glob', () => {
  it('agrees with the regular expression that it stands for', () => {
    const part = fc.stringMatching(/^[ab.]{0,3}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.stringMatching(/^[ab.]{0,10}$/), (parts, text) => {
        const pattern = parts.join('*');
        const expression = new RegExp(`^${parts.map((p) => p.replaceAll('.', '\\.')).join('.*')}$`);
        expect(globMatcher(pattern)(text)).toBe(expression.test(text));
      }),
      { numRuns: 600 },
    );
  });

  it('stays linear where a regular expression would explode', () => {
    expect(globMatcher('*a'.repeat(500) + '*b')('a'.repeat(20_000))).toBe(false);
  });
});
