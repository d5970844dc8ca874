import { createRequire } from 'node:module';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { type EventType, isEventType } from '#libs/events/src/catalogue.js';
import { problemsOf } from '#libs/events/src/check.js';
import type { Json } from '#libs/kernel/src/json.js';
import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { github } from './github.js';

interface Example {
  readonly name: string;
  readonly examples: readonly Json[];
}
const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly Example[];

const request = (event: string | undefined): InboundRequest => ({
  headers: { 'x-github-event': event, 'x-github-delivery': 'd1' },
  rawBody: Buffer.alloc(0),
  query: {},
  contentType: 'application/json',
  sourceIp: '127.0.0.1',
});
const normalise = (event: string | undefined, value: Json) =>
  readable(
    github.normalise({ value, kind: 'json', request: request(event) }, { secrets: [], config: {}, now: new Date() }),
  );

/** The one event that each of GitHub's becomes. */
const eventOf = (event: string, value: Json) => {
  const { events } = normalise(event, value);
  expect(events).toHaveLength(1);
  return events[0]!;
};
const exampleOf = (name: string, action?: string): Record<string, Json> =>
  examples
    .find((example) => example.name === name)!
    .examples.find((one) => action === undefined || (one as { action?: string }).action === action) as Record<
    string,
    Json
  >;

describe("GitHub's own examples", () => {
  const all = examples.flatMap(({ name, examples: list }) => list.map((value, index) => ({ name, index, value })));

  it('are there', () => {
    expect(all.length).toBeGreaterThan(200);
  });

  it.each(all)('$name $index becomes an event that satisfies its schema', ({ name, value }) => {
    const { type, subject, data } = eventOf(name, value);
    expect(isEventType(type)).toBe(true);
    expect(problemsOf(type as EventType, data)).toEqual([]);
    expect(subject.startsWith('$')).toBe(false);
  });

  it('become these types', () => {
    const types: Record<string, string> = {};
    for (const { name, value } of all) {
      const action = (value as { action?: string }).action;
      const { type } = eventOf(name, value);
      // One name stands for two: of a branch and of a tag.
      const key = name === 'push' ? String((value as { ref?: string }).ref) : `${name}.${action ?? ''}`;
      if (type !== 'webhook.received') types[key] ??= type;
    }
    expect(types).toEqual({
      'refs/heads/master': 'git.push',
      'refs/tags/simple-tag': 'git.tag_pushed',
      'pull_request.opened': 'pr.opened',
      'pull_request.closed': 'pr.closed',
      ...Object.fromEntries(
        [
          'assigned',
          'unassigned',
          'labeled',
          'unlabeled',
          'locked',
          'unlocked',
          'reopened',
          'synchronize',
          'converted_to_draft',
          'ready_for_review',
          'review_requested',
          'review_request_removed',
        ].map((action) => [`pull_request.${action}`, 'pr.updated']),
      ),
      'pull_request_review.submitted': 'pr.reviewed',
      'issue_comment.created': 'comment.created',
      'pull_request_review_comment.created': 'comment.created',
      'commit_comment.created': 'comment.created',
      'issues.opened': 'issue.created',
      'issues.reopened': 'issue.status_changed',
      ...Object.fromEntries(
        [
          'edited',
          'assigned',
          'unassigned',
          'deleted',
          'labeled',
          'unlabeled',
          'locked',
          'unlocked',
          'milestoned',
          'demilestoned',
          'pinned',
          'unpinned',
          'transferred',
        ].map((action) => [`issues.${action}`, 'issue.updated']),
      ),
      'release.published': 'release.published',
      'workflow_run.completed': 'pipeline.finished',
      'check_suite.completed': 'pipeline.finished',
    });
  });
});

describe('a push', () => {
  const branchPush = examples
    .find(({ name }) => name === 'push')!
    .examples.find((one) => (one as { ref: string }).ref.startsWith('refs/heads/')) as Record<string, Json>;
  const push = (changes: Record<string, Json>) => eventOf('push', { ...branchPush, ...changes });

  it('keeps the slashes of a branch', () => {
    const { type, data } = push({ ref: 'refs/heads/feature/a/b' });
    expect([type, data['branch'], data['ref']]).toEqual(['git.push', 'feature/a/b', 'refs/heads/feature/a/b']);
  });

  it('of a tag is another type', () => {
    const { type, data } = push({ ref: 'refs/tags/v1/rc' });
    expect([type, data['tag'], 'branch' in data]).toEqual(['git.tag_pushed', 'v1/rc', false]);
  });

  it('that removes a branch says so', () => {
    expect(push({ ref: 'refs/heads/main', deleted: true, commits: [], head_commit: null })).toMatchObject({
      type: 'git.push',
      data: { branch: 'main', deleted: true, commits: [] },
    });
  });

  it.each([null, 'none', [{ message: 'without an id' }]])(
    'whose commits are not all listed (%j) says so: its paths are unknown, not none',
    (commits) => {
      const data = { ref: 'refs/heads/main', commits } as Record<string, Json>;
      expect(push(data).data).toMatchObject({ commits: [], truncated: true });
      expect(push({ ...data, deleted: true }).data).not.toHaveProperty('truncated');
    },
  );

  it.each(['refs/notes/commits', 'refs/heads/', 'refs/tags/', 'main', '', 7, null])(
    'of the ref %j is a webhook like any other',
    (ref) => {
      expect(push({ ref }).type).toBe('webhook.received');
    },
  );

  it('carries its commits with who wrote them and what they touched', () => {
    const { data } = push({
      commits: [
        {
          id: 'abc',
          message: 'Say\nmore',
          timestamp: '2026-11-20T13:14:15+01:00',
          url: 'https://example.com/abc',
          author: { name: 'Ada', email: 'ada@example.com', username: 'ada' },
          added: ['a'],
          removed: [],
          modified: ['b', 3, null],
          distinct: true,
        },
        { message: 'without id' },
        'nonsense',
      ],
    });
    expect(data['commits']).toEqual([
      {
        id: 'abc',
        message: 'Say\nmore',
        timestamp: '2026-11-20T13:14:15+01:00',
        url: 'https://example.com/abc',
        author: { username: 'ada', name: 'Ada', email: 'ada@example.com' },
        added: ['a'],
        removed: [],
        modified: ['b'],
      },
    ]);
  });

  it('happened when GitHub says that it was pushed', () => {
    const repository = branchPush['repository'] as Record<string, Json>;
    expect(push({ repository: { ...repository, pushed_at: 1_760_000_000 } }).timestamp).toBe(1_760_000_000_000);
  });

  it('is about its repository', () => {
    const { subject, data } = push({});
    expect(subject).toBe('repository/Codertocat/Hello-World');
    expect(data['repository']).toMatchObject({
      fullName: 'Codertocat/Hello-World',
      name: 'Hello-World',
      private: false,
    });
    expect(data['author']).toMatchObject({ username: 'Codertocat' });
  });
});

describe('a pull request', () => {
  const opened = exampleOf('pull_request', 'opened');
  const pull = opened['pull_request'] as Record<string, Json>;

  it('that is closed was merged, or not', () => {
    const closed = (merged: boolean) =>
      eventOf('pull_request', {
        ...opened,
        action: 'closed',
        pull_request: { ...pull, state: 'closed', merged, merge_commit_sha: 'abc' },
      });
    expect(closed(true)).toMatchObject({
      type: 'pr.merged',
      data: { pullRequest: { state: 'merged', mergeCommit: 'abc' } },
    });
    expect(closed(false)).toMatchObject({ type: 'pr.closed', data: { pullRequest: { state: 'closed' } } });
    // GitHub tries a merge out beforehand: that commit is in no branch.
    expect(closed(false).data['pullRequest']).not.toHaveProperty('mergeCommit');
  });

  it('names both its branches, and as its branch the one it goes into', () => {
    expect(eventOf('pull_request', opened)).toMatchObject({
      subject: 'pull_request/Codertocat/Hello-World/2',
      data: { branch: 'master', pullRequest: { number: 2, sourceBranch: 'changes', targetBranch: 'master' } },
    });
  });

  it('that is commented on is told from an issue', () => {
    const created = exampleOf('issue_comment', 'created');
    const issue = created['issue'] as Record<string, Json>;
    const onPull = eventOf('issue_comment', { ...created, issue: { ...issue, pull_request: { url: 'x' } } });
    expect(onPull).toMatchObject({ type: 'comment.created', data: { comment: { on: 'pull_request' } } });
    expect(onPull.data).not.toHaveProperty('issue');
    expect(problemsOf('comment.created', onPull.data)).toEqual([]);
    const onIssue = eventOf('issue_comment', created);
    expect(onIssue.data).toMatchObject({ comment: { on: 'issue' }, issue: { number: 1 } });
  });
});

describe('an issue', () => {
  it('that is closed or opened again changes its status', () => {
    const opened = exampleOf('issues', 'opened');
    expect(eventOf('issues', { ...opened, action: 'closed' })).toMatchObject({
      type: 'issue.status_changed',
      data: { from: 'open', to: 'closed' },
    });
    expect(eventOf('issues', { ...opened, action: 'reopened' })).toMatchObject({
      data: { from: 'closed', to: 'open' },
    });
  });
});

describe('a pipeline', () => {
  it('says how it ended in one of a few words', () => {
    const completed = exampleOf('workflow_run', 'completed');
    const run = completed['workflow_run'] as Record<string, Json>;
    const status = (conclusion: Json) => {
      const { type, data } = eventOf('workflow_run', { ...completed, workflow_run: { ...run, conclusion } });
      return type === 'pipeline.finished' ? (data['pipeline'] as { status?: string }).status : type;
    };
    expect(['failure', 'neutral', null].map(status)).toEqual(['failure', 'other', 'webhook.received']);
  });
});

describe('whatever JSON GitHub may send', () => {
  const events = [...examples.map(({ name }) => name), 'unheard_of', '__proto__', 'constructor', ''];
  const event = fc.oneof(fc.constantFrom(...events), fc.constant(undefined));

  it('is never thrown at, and always becomes an event that satisfies its schema', () => {
    fc.assert(
      fc.property(event, fc.jsonValue({ maxDepth: 5 }), (name, value) => {
        for (const { type, data } of normalise(name, value as Json).events)
          expect(problemsOf(type as EventType, data)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('may have any field of its examples missing or of another type', () => {
    const base = examples
      .filter(({ name }) => normalise(name, exampleOf(name)).events[0]!.type !== 'webhook.received')
      .flatMap(({ name, examples: list }) => list.map((value) => ({ name, value })));
    fc.assert(
      fc.property(
        fc.constantFrom(...base),
        fc.nat(),
        fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(undefined)),
        ({ name, value }, place, replacement) => {
          const changed = JSON.parse(JSON.stringify(value)) as Json;
          const paths = pathsOf(changed, 4);
          const path = paths[place % paths.length]!;
          const parent = path.slice(0, -1).reduce<unknown>((at, key) => (at as never)[key], changed) as object;
          if (replacement === undefined) delete parent[path.at(-1) as never];
          else parent[path.at(-1) as never] = replacement as never;
          for (const { type, data } of normalise(name, changed).events)
            expect(problemsOf(type as EventType, data)).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Paths of all fields, down to a depth. */
function pathsOf(value: Json, depth: number): string[][] {
  if (typeof value !== 'object' || value === null || depth === 0) return [];
  return Object.entries(value).flatMap(([key, field]) => [
    [key],
    ...pathsOf(field, depth - 1).map((rest) => [key, ...rest]),
  ]);
}
