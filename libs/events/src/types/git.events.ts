import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';
import {
  Author,
  Comment,
  Commit,
  Inbound,
  inboundData,
  Issue,
  Pipeline,
  PullRequest,
  Release,
  Repository,
  Review,
} from '../neutral.js';

export { Author, Inbound, Issue, Repository };

const author = Type.Optional(Author);
const request = {
  provider: 'github',
  deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
  sourceIp: '140.82.115.10',
};
const repository = {
  id: '186853002',
  name: 'app',
  fullName: 'acme/app',
  url: 'https://github.com/acme/app',
  defaultBranch: 'main',
  private: false,
};
const octocat = { id: '583231', username: 'octocat', url: 'https://github.com/octocat' };
const commit = 'ec26c3e57ca3a959ca5aad62de7213c562f8c821';
const pullRequest = {
  id: '279147437',
  number: 2,
  title: 'Update the README with new information.',
  url: 'https://github.com/acme/app/pull/2',
  state: 'open' as const,
  draft: false,
  sourceBranch: 'changes',
  targetBranch: 'main',
  headCommit: commit,
  labels: ['documentation'],
  author: octocat,
};

const aboutPullRequest = inboundData({
  repository: Repository,
  branch: Type.Optional(Type.String({ description: 'the target branch' })),
  pullRequest: PullRequest,
  author,
});

const pullRequestExample = (action: string, changes: Partial<typeof PullRequest.static> = {}) => ({
  ...request,
  eventType: 'pull_request',
  action,
  payload: { action, number: 2 },
  repository,
  branch: 'main',
  pullRequest: { ...pullRequest, ...changes },
  author: octocat,
});

const said = (fact: string) =>
  Type.Optional(Type.Boolean({ description: `${fact}; absent where the sender does not say` }));

/** What happens at code hosts, in the same words for GitHub and GitLab. */
export const gitEvents = {
  'git.push': defineEvent({
    description: 'Commits were pushed to a branch, or a branch was created or deleted.',
    data: inboundData({
      repository: Repository,
      ref: Type.String({ description: 'the full ref: `refs/heads/feature/login`' }),
      branch: Type.String({ description: 'without `refs/heads/`; may contain slashes: `feature/login`' }),
      before: Type.Optional(Type.String({ description: 'commit before; zeros for a new branch' })),
      after: Type.Optional(Type.String({ description: 'commit after; zeros for a deleted branch' })),
      created: said('the branch was created'),
      deleted: said('the branch was deleted'),
      forced: said('history was rewritten'),
      commits: Type.Array(Commit, {
        description:
          'oldest first; the sender limits the list (GitHub: 2048, GitLab: 20), and then `truncated` is true',
      }),
      author,
    }),
    example: {
      ...request,
      eventType: 'push',
      payload: { ref: 'refs/heads/feature/login' },
      repository,
      ref: 'refs/heads/feature/login',
      branch: 'feature/login',
      before: '6113728f27ae82c7b1a177c8d03f9e96e0adf246',
      after: commit,
      created: false,
      deleted: false,
      forced: false,
      commits: [
        {
          id: commit,
          message: 'Log in with a passkey',
          author: { name: 'Octo Cat', email: 'octocat@github.com', username: 'octocat' },
          url: `https://github.com/acme/app/commit/${commit}`,
          timestamp: '2026-11-20T13:14:15Z',
          added: ['src/passkey.ts'],
          modified: ['README.md'],
          removed: [],
        },
      ],
      author: octocat,
    },
  }),
  'git.tag_pushed': defineEvent({
    description: 'A tag was pushed, moved or deleted.',
    data: inboundData({
      repository: Repository,
      ref: Type.String({ description: 'the full ref: `refs/tags/v1.2.0`' }),
      tag: Type.String({ description: 'without `refs/tags/`' }),
      before: Type.Optional(Type.String()),
      after: Type.Optional(Type.String()),
      created: said('the tag was created'),
      deleted: said('the tag was deleted'),
      author,
    }),
    example: {
      ...request,
      eventType: 'push',
      payload: { ref: 'refs/tags/v1.2.0' },
      repository,
      ref: 'refs/tags/v1.2.0',
      tag: 'v1.2.0',
      after: commit,
      created: true,
      deleted: false,
      author: octocat,
    },
  }),
  'pr.opened': defineEvent({
    description: 'A pull request (merge request) was opened.',
    data: aboutPullRequest,
    example: pullRequestExample('opened'),
  }),
  'pr.updated': defineEvent({
    description: 'A pull request changed: new commits, another title, label, reviewer, or it was reopened.',
    data: aboutPullRequest,
    example: pullRequestExample('synchronize'),
  }),
  'pr.merged': defineEvent({
    description: 'A pull request was merged.',
    data: aboutPullRequest,
    example: pullRequestExample('closed', { state: 'merged', mergeCommit: commit }),
  }),
  'pr.closed': defineEvent({
    description: 'A pull request was closed without being merged.',
    data: aboutPullRequest,
    example: pullRequestExample('closed', { state: 'closed' }),
  }),
  'pr.reviewed': defineEvent({
    description: 'A review of a pull request was submitted.',
    data: inboundData({ ...aboutPullRequest.properties, review: Review }),
    example: {
      ...pullRequestExample('submitted'),
      eventType: 'pull_request_review',
      review: { id: '237895671', state: 'approved', body: 'Good.', author: octocat },
    },
  }),
  'comment.created': defineEvent({
    description: 'A comment was made on an issue, a pull request or a commit.',
    data: inboundData({
      repository: Type.Optional(Repository),
      comment: Comment,
      issue: Type.Optional(Issue),
      pullRequest: Type.Optional(Type.Partial(PullRequest)),
      author,
    }),
    example: {
      ...request,
      eventType: 'issue_comment',
      action: 'created',
      payload: { action: 'created' },
      repository,
      comment: { id: '492700400', body: 'Same here.', on: 'issue', author: octocat },
      issue: { number: 7, title: 'Spelling', state: 'open', labels: [], assignees: [], author: octocat },
      author: octocat,
    },
  }),
  'release.published': defineEvent({
    description: 'A release was published.',
    data: inboundData({ repository: Repository, release: Release, author }),
    example: {
      ...request,
      eventType: 'release',
      action: 'published',
      payload: { action: 'published' },
      repository,
      release: { id: '17372790', tag: 'v1.2.0', name: 'Passkeys', draft: false, prerelease: false, author: octocat },
      author: octocat,
    },
  }),
  'pipeline.finished': defineEvent({
    description: 'A workflow run, check suite or pipeline ended.',
    data: inboundData({ repository: Repository, branch: Type.Optional(Type.String()), pipeline: Pipeline, author }),
    example: {
      ...request,
      eventType: 'workflow_run',
      action: 'completed',
      payload: { action: 'completed' },
      repository,
      branch: 'main',
      pipeline: { id: '30433642', name: 'Build', status: 'failure', branch: 'main', commit },
      author: octocat,
    },
  }),
} as const;
