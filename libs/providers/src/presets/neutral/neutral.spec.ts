import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { isEventType } from '#libs/events/src/catalogue.js';
import { problemsOf } from '#libs/events/src/check.js';
import type { JsonObject } from '#libs/plugin-sdk/src/fields.js';
import type { NeutralEvent } from '#libs/plugin-sdk/src/scheme/define-preset.js';

import { builtInPresets } from '../built-in-presets.js';

interface Recorded {
  readonly event?: string;
  readonly body: JsonObject;
}
const recordedOf = (name: string): Readonly<Record<string, Recorded>> =>
  JSON.parse(readFileSync(new URL(`../../../fixtures/neutral/${name}.json`, import.meta.url), 'utf8')) as never;
const fixtureOf = (preset: string): string => (preset === 'forgejo' ? 'gitea' : preset);
const nameIn = ({ event, body }: Recorded): string => event ?? ((body['webhookEvent'] ?? body['type']) as string);

const read = (preset: string, which: string): readonly NeutralEvent[] => {
  const recorded = recordedOf(fixtureOf(preset))[which]!;
  const { neutral } = builtInPresets.find(({ name }) => name === preset)!;
  const found = neutral!({ value: recorded.body, eventType: nameIn(recorded), headers: {} });
  return found === undefined ? [] : [found].flat();
};

const PRESETS = ['gitea', 'forgejo', 'bitbucket', 'bitbucket-server', 'jira', 'linear'];
const cases = PRESETS.flatMap((preset) =>
  Object.keys(recordedOf(fixtureOf(preset))).map((which) => [preset, which] as const),
);

/** The types that each becomes; what is not here is `webhook.received`. */
const TYPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  gitea: {
    push: 'git.push',
    'new branch': 'git.push',
    tag: 'git.tag_pushed',
    'pull request opened': 'pr.opened',
    'pull request synchronized': 'pr.updated',
    'pull request merged': 'pr.merged',
    'pull request approved': 'pr.reviewed',
    'issue opened': 'issue.created',
    'issue closed': 'issue.status_changed',
    'issue labelled': 'issue.updated',
    'comment on an issue': 'comment.created',
    'comment on a pull request': 'comment.created',
    release: 'release.published',
  },
  bitbucket: {
    push: 'git.push',
    'push of several': 'git.tag_pushed git.push',
    'pull request created': 'pr.opened',
    'pull request updated': 'pr.updated',
    'pull request fulfilled': 'pr.merged',
    'pull request rejected': 'pr.closed',
    'pull request approved': 'pr.reviewed',
    'comment on a pull request': 'comment.created',
    'comment on a commit': 'comment.created',
  },
  'bitbucket-server': {
    push: 'git.push',
    'push of several': 'git.tag_pushed git.push git.push',
    'pull request opened': 'pr.opened',
    'pull request pushed to': 'pr.updated',
    'pull request merged': 'pr.merged',
    'pull request declined': 'pr.closed',
    'pull request needs work': 'pr.reviewed',
    'comment on a pull request': 'comment.created',
    'comment on a commit': 'comment.created',
  },
  jira: {
    'issue created': 'issue.created',
    'issue updated': 'issue.updated',
    'issue moved on': 'issue.status_changed',
    'issue commented': 'comment.created',
  },
  linear: {
    'issue created': 'issue.created',
    'issue updated': 'issue.updated',
    'issue moved on': 'issue.status_changed',
    'issue commented': 'comment.created',
  },
};

describe.each(cases)('what %s sends: %s', (preset, which) => {
  const events = read(preset, which);

  it('becomes events of ours that fit their schemas', () => {
    expect(events.map(({ type }) => type).join(' ')).toBe(TYPES[fixtureOf(preset)]![which] ?? '');
    for (const { type, subject, data } of events) {
      expect(isEventType(type) && problemsOf(type, data, '')).toEqual([]);
      expect(subject).toMatch(/^(repository|pull_request|issue|release)\/./);
    }
  });

  it('never throws, whatever part of it is missing or of another type', () => {
    const recorded = recordedOf(fixtureOf(preset))[which]!;
    const { neutral } = builtInPresets.find(({ name }) => name === preset)!;
    const paths = pathsIn(recorded.body);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), fc.boolean(), (path, other, isGone) => {
        const value = structuredClone(recorded.body) as Record<string, unknown>;
        let at = value;
        for (const key of path.slice(0, -1)) at = at[key] as typeof at;
        if (isGone) delete at[path.at(-1)!];
        else at[path.at(-1)!] = other;
        neutral!({ value: JSON.parse(JSON.stringify(value)) as JsonObject, eventType: nameIn(recorded), headers: {} });
      }),
      { numRuns: 60 },
    );
  });
});

function pathsIn(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => [[...path, key], ...pathsIn(one, [...path, key])]);
}

const dataOf = (preset: string, which: string, nth = 0) => read(preset, which)[nth]!.data;
const [NEW, OLD] = ['8cf3ebbdacddfddd6f13673f945f523cc9813df2', 'ba6b3bc467a84e4f306e9492798a1fe0b0d4ba74'];

describe('a push', () => {
  it('of Gitea says what is new by zeros, and that its list is not whole', () => {
    expect(dataOf('gitea', 'push')).toMatchObject({
      repository: { fullName: 'acme/app' },
      branch: 'main',
      before: OLD,
      after: NEW,
      created: false,
      deleted: false,
      truncated: true,
      commits: [{ id: NEW, author: { username: 'ada' }, modified: ['README.md'] }],
      author: { username: 'ada' },
    });
    expect(dataOf('gitea', 'push')).not.toHaveProperty('forced');
    expect(dataOf('gitea', 'new branch')).toMatchObject({ branch: 'fix/it', created: true, deleted: false });
    expect(dataOf('gitea', 'tag')).toMatchObject({ tag: 'v1.2.0', created: true });
  });

  it('of Bitbucket has its commits in order, the oldest first, and is an event for each ref', () => {
    const data = dataOf('bitbucket', 'push');
    expect(data).toMatchObject({ branch: 'main', before: OLD, after: NEW, forced: true, created: false });
    expect((data['commits'] as JsonObject[]).map(({ message }) => message)).toEqual(['First\n', 'Second\n']);
    expect((data['commits'] as JsonObject[])[0]!['author']).toMatchObject({ name: 'Ada L', email: 'ada@example.com' });
    expect(dataOf('bitbucket', 'push of several')).toMatchObject({ tag: 'v1.2.0', created: true, deleted: false });
    expect(dataOf('bitbucket', 'push of several', 1)).toMatchObject({ branch: 'old', created: false, deleted: true });
  });

  it('of Bitbucket Data Center says where its commits are not known', () => {
    expect(dataOf('bitbucket-server', 'push')).toMatchObject({
      repository: { fullName: 'ACME/app', private: true },
      branch: 'main',
      commits: [{ id: NEW, timestamp: '2026-11-20T13:14:00.000Z' }],
    });
    expect(dataOf('bitbucket-server', 'push')).not.toHaveProperty('truncated');
    expect(dataOf('bitbucket-server', 'push of several', 1)).toMatchObject({ commits: [], truncated: true });
    expect(dataOf('bitbucket-server', 'push of several', 2)).toMatchObject({ deleted: true, commits: [] });
  });
});

it.each([
  ['gitea', 'pull request merged'],
  ['bitbucket', 'pull request fulfilled'],
  ['bitbucket-server', 'pull request merged'],
])('a pull request of %s has the fields that those of GitHub have', (preset, which) => {
  expect(dataOf(preset, which)).toMatchObject({
    branch: 'main',
    pullRequest: {
      number: 4,
      title: 'Log in with a passkey',
      state: 'merged',
      sourceBranch: 'passkey',
      targetBranch: 'main',
      headCommit: expect.stringMatching(/^8cf3ebbdacdd/),
      mergeCommit: expect.any(String),
      url: expect.stringContaining('4'),
      author: { username: 'ada' },
    },
  });
});

it.each([
  ['gitea', 'pull request approved', 'approved'],
  ['bitbucket', 'pull request approved', 'approved'],
  ['bitbucket-server', 'pull request needs work', 'changes_requested'],
])('a review of %s has its verdict', (preset, which, state) => {
  expect(dataOf(preset, which)['review']).toMatchObject({ state, author: { username: 'ada' } });
});

it('comments of Gitea say what they are on', () => {
  expect(dataOf('gitea', 'comment on an issue')).toMatchObject({ comment: { on: 'issue' }, issue: { number: 5 } });
  expect(dataOf('gitea', 'comment on a pull request')).toMatchObject({
    comment: { on: 'pull_request' },
    pullRequest: { number: 4, state: 'open' },
  });
});

it.each(['jira', 'linear'])('issues of %s say what changed, and where they stand', (preset) => {
  const issue = { number: 7, title: 'The printer is on fire', body: 'Since 9.', priority: 'High', labels: ['printer'] };
  expect(read(preset, 'issue created')[0]).toMatchObject({ subject: 'issue/ACM-7', data: { issue } });
  expect(dataOf(preset, 'issue updated')).toMatchObject({
    issue: { assignee: 'Ada L' },
    changed: [expect.stringMatching(/^assignee/)],
  });
  expect(dataOf(preset, 'issue moved on')).toMatchObject({ issue: { state: 'In Progress' }, to: 'In Progress' });
  expect(read(preset, 'issue commented')[0]).toMatchObject({
    subject: 'issue/ACM-7',
    data: { comment: { body: 'It still burns.', on: 'issue', author: { name: 'Ada L' } } },
  });
  expect(dataOf('jira', 'issue moved on')).toMatchObject({ from: 'To Do' });
});
