import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { isEventType } from '#libs/events/src/catalogue.js';
import { problemsOf } from '#libs/events/src/check.js';
import { compile } from '#libs/expressions/src/compile.js';
import type { Json } from '#libs/kernel/src/json.js';
import type { InboundRequest, Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { headersOf, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { mediaTypeOf, parseBody } from '#libs/plugin-sdk/src/body/inbound-body.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { github } from './github/github.js';
import { gitlab } from './gitlab/gitlab.js';
import { slack } from './slack/slack.js';

const context = { secrets: [], config: {}, now: new Date() };

function eventOf(provider: Provider, fixture: string) {
  const file = parseHttpFile(readFileSync(new URL(`../fixtures/${provider.name}/${fixture}.http`, import.meta.url)));
  const headers = headersOf(file);
  const contentType = mediaTypeOf(headers['content-type']);
  const request: InboundRequest = { headers, rawBody: file.body, query: {}, contentType, sourceIp: '127.0.0.1' };
  const body = parseBody(request);
  if (!('values' in body)) throw new Error(body.code);
  const { events } = readable(provider.normalise({ value: body.values[0]!.value, kind: body.kind, request }, context));
  return events[0]!;
}

describe('one rule serves GitHub and GitLab alike', () => {
  /** What both say of the same happening, by the names of the saved requests. */
  it.each<[string, string, string, readonly string[]]>([
    [
      'a push',
      'push',
      'push',
      [
        'data.repository.fullName',
        'data.repository.name',
        'data.repository.defaultBranch',
        'data.repository.private',
        'data.ref',
        'data.branch',
        'data.before',
        'data.after',
        'data.created',
        'data.deleted',
        'data.commits[].[id, message, added, modified, removed]',
        'data.commits[].author.email',
        "length(data.commits[?contains(added, 'services/api/passkey.ts')])",
        'data.author.username',
      ],
    ],
    ['a branch with slashes', 'push-branch-with-slashes', 'push-branch-with-slashes', ['data.branch', 'data.ref']],
    [
      'a branch that is gone',
      'push-branch-deleted',
      'push-branch-deleted',
      ['data.deleted', 'data.after', 'data.commits'],
    ],
    ['a tag', 'push-tag', 'tag-push', ['data.tag', 'data.ref', 'data.created', 'data.deleted']],
    ...(
      [
        ['opened', 'opened'],
        ['updated', 'updated'],
        ['merged', 'merged'],
        ['closed', 'closed'],
      ] as const
    ).map(([ours, theirs]): [string, string, string, readonly string[]] => [
      `a pull request that is ${ours}`,
      `pull-request-${ours}`,
      `merge-request-${theirs}`,
      [
        'data.branch',
        'data.pullRequest.[number, title, body, state, draft, sourceBranch, targetBranch, headCommit, mergeCommit, labels]',
        'data.author.username',
      ],
    ]),
    [
      'an approval',
      'review',
      'merge-request-approved',
      ['data.review.state', 'data.review.author.username', 'data.pullRequest.number'],
    ],
    [
      'an issue',
      'issue-opened',
      'issue-opened',
      ['data.issue.[number, title, body, state, labels, assignees]', 'data.author.username'],
    ],
    ['a closed issue', 'issue-closed', 'issue-closed', ['data.issue.state', 'data.from', 'data.to']],
    [
      'a comment',
      'comment',
      'note-on-issue',
      ['data.comment.[body, on]', 'data.comment.author.username', 'data.issue.number'],
    ],
    ['a release', 'release', 'release', ['data.release.[tag, name, body]', 'data.repository.fullName']],
    ['a pipeline', 'workflow-run', 'pipeline', ['data.pipeline.[name, status, branch, commit]', 'data.branch']],
  ])('about %s', (_, atGithub, atGitlab, expressions) => {
    const [ours, theirs] = [eventOf(github, atGithub), eventOf(gitlab, atGitlab)];
    expect(theirs.type).toBe(ours.type);
    expect(theirs.subject).toBe(ours.subject);
    for (const expression of expressions) {
      const value = compile(expression).evaluate(ours);
      expect(value).not.toBeNull();
      expect([expression, compile(expression).evaluate(theirs)]).toEqual([expression, value]);
    }
  });

  it('and both say when it happened, in whichever form', () => {
    const at = new Date('2026-11-20T13:14:00Z').getTime();
    for (const name of ['issue-closed', 'release'])
      for (const provider of [github, gitlab]) expect(new Date(eventOf(provider, name).timestamp!).getTime()).toBe(at);
  });
});

describe('the quirks of GitLab', () => {
  it('a branch is new where there was nothing before, whichever hash the repository uses', () => {
    expect(eventOf(gitlab, 'push-branch-created').data).toMatchObject({ created: true, deleted: false, commits: [] });
    const sha256 = {
      object_kind: 'push',
      ref: 'refs/heads/x',
      before: '0'.repeat(64),
      after: 'a'.repeat(64),
      project: { path_with_namespace: 'a/b' },
    };
    const { events } = readable(
      gitlab.normalise({ value: sha256, kind: 'json', request: { headers: {} } as never }, context),
    );
    expect(events[0]!.data).toMatchObject({ created: true, commits: [], truncated: true });
  });

  it('an address that is kept back is none', () => {
    expect(eventOf(gitlab, 'issue-opened').data['author']).toEqual({ id: '4', username: 'octocat', name: 'Octo Cat' });
  });

  it('prefers the key of the delivery to the id of the event, which recursive hooks share', () => {
    const normalise = (headers: Record<string, string>) =>
      readable(gitlab.normalise({ value: {}, kind: 'json', request: { headers } as never }, context)).deliveryId;
    const uuid = { 'x-gitlab-event-uuid': 'uuid' };
    expect(normalise(uuid)).toBe('uuid');
    expect(normalise({ ...uuid, 'idempotency-key': 'key' })).toBe('key');
  });

  it('a note of the system is nobody’s comment', () => {
    const note = {
      object_kind: 'note',
      project: { path_with_namespace: 'a/b' },
      object_attributes: { note: 'mentioned in !1', noteable_type: 'Issue', system: true, action: 'create' },
      issue: { iid: 1, title: 't' },
    };
    const { events } = readable(
      gitlab.normalise({ value: note, kind: 'json', request: { headers: {} } as never }, context),
    );
    expect(events[0]!.type).toBe('webhook.received');
  });
});

describe('bodies recorded from GitLab', () => {
  const RECORDED = new URL('../testing/fixtures/gitlab/', import.meta.url);
  const types: Record<string, string> = {
    'push.json': 'git.push',
    'tag_push.json': 'git.tag_pushed',
    'merge_request.json': 'pr.opened',
    'note_merge_request.json': 'comment.created',
    'issue.json': 'issue.created',
    'release.json': 'release.published',
    'pipeline.json': 'pipeline.finished',
    'job.json': 'webhook.received',
  };
  it.each(readdirSync(RECORDED).filter((name) => name.endsWith('.json')))('%s is understood', (name) => {
    const value = JSON.parse(readFileSync(new URL(name, RECORDED), 'utf8')) as Json;
    const { events } = readable(gitlab.normalise({ value, kind: 'json', request: { headers: {} } as never }, context));
    const { type, data } = events[0]!;
    expect(isEventType(type) && problemsOf(type, data)).toEqual([]);
    expect(type).toBe(types[name]);
  });
});

describe('the words of Slack', () => {
  it('a message in a thread names the thread, the first of one does not', () => {
    expect(eventOf(slack, 'message-in-thread').data['message']).toMatchObject({ threadId: '1795180000.000100' });
    expect(eventOf(slack, 'message').data['message']).not.toHaveProperty('threadId');
  });

  it('an edited message is told with its new text, marked', () => {
    const { data, subject } = eventOf(slack, 'message-edited');
    expect(subject).toBe('channel/C024BE91L');
    expect(data).toMatchObject({
      message: { id: '1795180455.000200', text: 'Is anybody on call?', edited: true },
      author: { id: 'U061F7AUR' },
    });
  });

  it('a bot is known as one, so that a rule can leave bots out', () => {
    expect(eventOf(slack, 'message-of-bot').data['author']).toEqual({ id: 'BB12033', username: 'deploys', bot: true });
    expect(eventOf(slack, 'message').data['author']).toEqual({ id: 'U061F7AUR' });
  });

  it('mentions, files, commands and buttons have fields of their own', () => {
    expect(eventOf(slack, 'message').data['message']).toMatchObject({ mentions: [{ id: 'U0LAN0Z89' }] });
    expect(eventOf(slack, 'message-with-file').data['message']).toMatchObject({
      attachments: [{ id: 'F0S43P1CZ', name: 'graph.png', contentType: 'image/png' }],
    });
    expect(eventOf(slack, 'slash-command')).toMatchObject({
      subject: 'command//deploy',
      data: {
        command: '/deploy',
        text: 'staging now',
        channel: { id: 'C024BE91L', name: 'ops' },
        author: { username: 'ada' },
      },
    });
    expect(eventOf(slack, 'block-actions').data).toMatchObject({
      interaction: { kind: 'block_actions', actionId: 'approve', value: 'yes' },
      message: { text: 'Deploy?' },
      author: { id: 'U061F7AUR', username: 'ada' },
    });
    expect(eventOf(slack, 'view-submission').data).toMatchObject({
      interaction: { kind: 'view_submission', actionId: 'incident', value: { title: { input: { value: 'DB slow' } } } },
    });
  });
});
