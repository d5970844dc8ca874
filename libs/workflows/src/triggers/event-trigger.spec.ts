import { describe, expect, it } from '@jest/globals';

import type { PlatformEvent } from '#libs/events/src/envelope.js';

import { testSteps } from '../../testing/library.js';
import type { Trigger } from '../language/definition.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { pathMatcher } from './path-globs.js';
import { judge } from './registry.js';

const trigger = (yaml: string): Trigger => {
  const parsed = parseWorkflow(
    `name: x\ntriggers:\n  - { type: event, ${yaml} }\nsteps: [{ wait: { for: 1s } }]\n`,
    testSteps,
  );
  if (!parsed.ok) throw new Error(parsed.problems[0]!.detail);
  return parsed.definition.triggers[0]!;
};

/** Nobody sent it to an integration. */
const NO_REQUEST = { workflowId: 'wf_1', receiver: undefined };

const fits = (given: Trigger, event: PlatformEvent): boolean => judge(given, event, NO_REQUEST).kind === 'fits';
const doubt = (given: Trigger, event: PlatformEvent): string | undefined => {
  const verdict = judge(given, event, NO_REQUEST);
  return verdict.kind === 'fits' ? verdict.because : undefined;
};

const push = (data: object, more: Partial<PlatformEvent> = {}): PlatformEvent => ({
  id: 'evt_1',
  type: 'git.push',
  source: 'github',
  subject: 'repository/acme/app',
  orgId: 'org_1',
  timestamp: '2026-01-01T00:00:00.000Z',
  data: data as PlatformEvent['data'],
  ...more,
});

describe('an event trigger', () => {
  it('asks its condition of the event', () => {
    const retry = trigger('event: webhook.failed, when: "data.attempt == `1` && data.retryable"');
    expect(fits(retry, push({ attempt: 1, retryable: true }))).toBe(true);
    expect(fits(retry, push({ attempt: 2, retryable: true }))).toBe(false);
    expect(fits(retry, push({ attempt: 1, retryable: false }))).toBe(false);
  });

  it('may call the event by its name, as steps do', () => {
    expect(fits(trigger("event: git.push, when: event.data.branch == 'main'"), push({ branch: 'main' }))).toBe(true);
  });

  it('is not true where a condition meets something that is not there', () => {
    expect(fits(trigger('event: git.push, when: "contains(data.tags, \'x\')"'), push({}))).toBe(false);
  });

  it('holds the source against globs', () => {
    expect(fits(trigger('event: git.push, source: git*'), push({}))).toBe(true);
    expect(fits(trigger('event: git.push, source: [slack, gitlab]'), push({}))).toBe(false);
  });

  it('holds the branch against globs', () => {
    const release = trigger('event: git.push, branches: [main, "release/**", "!release/old"]');
    const at = (branch?: string) => fits(release, push(branch === undefined ? {} : { branch }));
    expect(['main', 'release/1.2', 'release/1/x', 'release/old', 'feature/main', undefined].map(at)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('is content with one changed file that fits', () => {
    const source = trigger('event: git.push, paths: ["src/**/*.ts", "!**/*.spec.ts"]');
    const none = { added: [], modified: [], removed: [] };
    const with_ = (...files: string[]) =>
      fits(source, push({ commits: [{ ...none, added: files }, none, { ...none, removed: ['a.md'] }] }));
    expect(with_('README.md', 'src/a/b.ts')).toBe(true);
    expect(with_('src/b.ts')).toBe(true);
    expect(with_('src/a/b.spec.ts')).toBe(false);
    expect(with_('other/src/b.ts')).toBe(false);
    expect(fits(source, push({}))).toBe(false);
  });

  it('starts where not all changed files are known and none of the known ones fits, and says why', () => {
    const docs = trigger('event: git.push, branches: [main], paths: ["docs/**"]');
    const commit = { added: ['src/a.ts'], modified: ['README.md'], removed: [] };
    const { added, modified, removed } = commit;
    const [known, fitting] = [push({ branch: 'main', commits: [commit] }), { ...commit, modified: ['docs/a.md'] }];
    expect([fits(docs, known), doubt(docs, known)]).toEqual([false, undefined]);
    for (const data of [
      { commits: [commit], truncated: true },
      { commits: [], truncated: true },
      { commits: [commit, {}] },
      { commits: [{ added, modified }] },
      { commits: [{ added, removed }] },
      { commits: [{ modified, removed }] },
    ]) {
      const event = push({ branch: 'main', ...data });
      expect([fits(docs, event), doubt(docs, event)]).toEqual([true, expect.stringContaining('"paths"')]);
      // The other filters decide as ever.
      expect(fits(docs, push({ branch: 'feature', ...data }))).toBe(false);
      const certain = push({ branch: 'main', ...data, commits: [...data.commits, fitting] });
      expect([fits(docs, certain), doubt(docs, certain)]).toEqual([true, undefined]);
    }
    expect(doubt(trigger('event: git.push'), push({ commits: [], truncated: true }))).toBeUndefined();
  });
});

describe('what an event trigger says when an event does not fit', () => {
  const said = (yaml: string, data: object) => judge(trigger(yaml), push(data), NO_REQUEST);

  it.each<[string, object, object]>([
    [
      'event: git.push, branches: [main]',
      { branch: 'topic' },
      { pointer: '/branches', field: 'data.branch', actual: 'topic', expected: ['main'] },
    ],
    ['event: git.push, branches: [main]', {}, { pointer: '/branches', actual: null }],
    [
      'event: git.push, paths: ["docs/**"]',
      { commits: [{ added: ['a.ts'], modified: ['b.ts'], removed: [] }] },
      { pointer: '/paths', actual: ['a.ts', 'b.ts'], expected: ['docs/**'] },
    ],
    [
      'event: webhook.failed, when: "data.attempt == `1` && data.retryable"',
      { attempt: 2, retryable: true },
      { pointer: '/when', condition: 'data.attempt == `1`', field: 'data.attempt', actual: 2 },
    ],
    [
      'event: webhook.failed, when: "data.attempt == `1` && data.retryable"',
      { attempt: 1, retryable: false },
      { condition: 'data.retryable', actual: false },
    ],
    [
      'event: git.push, when: "(data.a && data.b) || data.c == data.a"',
      { a: 1 },
      { field: 'data.a, data.b, data.c', actual: { 'data.a': 1, 'data.b': null, 'data.c': null } },
    ],
  ])('names the first condition that failed, and what it saw: %s %j', (yaml, data, failed) => {
    expect(said(yaml, data)).toMatchObject({ kind: 'failed', failed });
  });

  it('is not asked about another source', () => {
    expect(said('event: git.push, source: slack', {})).toEqual({ kind: 'ignored' });
  });
});

describe('globs over paths', () => {
  it.each([
    ['*', 'main', true],
    ['*', 'feature/x', false],
    ['**', 'feature/x', true],
    ['feature/*', 'feature/x', true],
    ['feature/*', 'feature/x/y', false],
    ['src/**/x.ts', 'src/x.ts', true],
    ['src/**/x.ts', 'src/a/b/x.ts', true],
    ['src/**/x.ts', 'src/ax.ts', false],
    ['**/x.ts', 'x.ts', true],
    ['v?.0', 'v1.0', true],
    ['v?.0', 'v10.0', false],
    ['a.c', 'abc', false],
  ])('%s on %s: %s', (glob, path, expected) => {
    expect(pathMatcher([glob])(path)).toBe(expected);
  });

  it('match in linear time, whatever the pattern', () => {
    // A matcher that tries every way to split the path would not end.
    expect(pathMatcher([`${'**a'.repeat(30)}b`])('a'.repeat(4000))).toBe(false);
  });
});

describe('throttle, debounce and batch', () => {
  const problemsOf = (yaml: string) => {
    const parsed = parseWorkflow(
      `name: x\ntriggers:\n  - { type: event, event: git.push, ${yaml} }\nsteps: [{ wait: { for: 1s } }]\n`,
      testSteps,
    );
    return parsed.ok
      ? []
      : parsed.problems.map(({ pointer, line }) => `${line} ${pointer.slice('/triggers/0/'.length)}`);
  };

  it.each([
    ['batch: { size: 10, timeout: 1m, key: "${{ data.branch }}" }', []],
    ['throttle: { limit: 1, per: 1h }, debounce: { quiet: 1m, maxWait: 5m }', []],
    ['batch: { size: 10, timeout: 1m }, throttle: { limit: 1, per: 1h }', ['3 batch']],
    ['batch: { size: 10, timeout: 1m }, debounce: { quiet: 1m }', ['3 batch']],
    ['batch: { size: 1, timeout: 1m }', ['3 batch/size']],
    ['batch: { size: 101, timeout: 1m }', ['3 batch/size']],
    ['batch: { size: 2 }', ['3 batch/timeout']],
    ['debounce: { quiet: 5m, maxWait: 1m }', ['3 debounce/maxWait']],
    ['throttle: { limit: 1, per: often }', ['3 throttle/per']],
    ['throttle: { limit: 1, per: 1h, key: "${{ nonsense }}" }', ['3 throttle/key']],
    ['debounce: { quiet: 1m, key: "${{ steps.a.output }}" }', ['3 debounce/key']],
  ])('%s: %j', (yaml, problems) => {
    expect(problemsOf(yaml)).toEqual(problems);
  });

  it('"events" is in scope of a batch alone', () => {
    const source = (control: string) =>
      `name: x\ntriggers: [{ type: event, event: git.push, ${control} }]\nsteps: [{ uses: echo, with: { value: "\${{ length(events) }}" } }]\n`;
    expect(parseWorkflow(source('batch: { size: 2, timeout: 1m }'), testSteps).ok).toBe(true);
    expect(parseWorkflow(source('throttle: { limit: 2, per: 1m }'), testSteps)).toMatchObject({
      ok: false,
      problems: [{ code: 'workflow.unknown_name', pointer: '/steps/0/with/value' }],
    });
  });
});
