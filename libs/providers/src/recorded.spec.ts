import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { isEventType } from '#libs/events/src/catalogue.js';
import { problemsOf } from '#libs/events/src/check.js';
import type { Json } from '#libs/kernel/src/json.js';
import { BodyFault, mediaTypeOf, parseBody } from '#libs/plugin-sdk/src/body/inbound-body.js';
import { headersOf, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { builtInProviders } from './built-in.js';

const RECORDED = new URL('../testing/fixtures/senders/', import.meta.url);
const PREFIXES: Readonly<Record<string, string>> = {
  bf: 'botframework',
  ce: 'cloudevents',
  gh: 'github',
  gl: 'gitlab',
  sl: 'slack',
};
const now = new Date('2026-11-30T00:00:00Z');
const context = { secrets: [], config: {}, now };
const providerOf = (file: string) =>
  builtInProviders.providers!.find(({ name }) => name === PREFIXES[file.slice(0, 2)])!;

function requestOf(file: string) {
  const bytes = readFileSync(new URL(file, RECORDED));
  const saved = file.endsWith('.http') ? parseHttpFile(bytes) : undefined;
  const headers: Readonly<Record<string, string>> = saved ? headersOf(saved) : { 'content-type': 'application/json' };
  const contentType = mediaTypeOf(headers['content-type']);
  return { headers, rawBody: saved?.body ?? bytes, query: {}, contentType, sourceIp: '127.0.0.1' };
}

/** What a recorded request becomes. */
function made(file: string) {
  const provider = providerOf(file);
  const request = requestOf(file);
  const body = parseBody(request, provider.anyBody);
  if (body instanceof BodyFault) throw new Error(body.code);
  return provider.normalise({ value: body.values[0]!.value, kind: body.kind, request }, context);
}
function eventOf(file: string) {
  const { events } = readable(made(file));
  expect(isEventType(events[0]!.type) && problemsOf(events[0]!.type, events[0]!.data)).toEqual([]);
  return events[0]!;
}
const normalise = (name: string, value: object, headers: Record<string, string> = {}) => {
  const provider = builtInProviders.providers!.find((one) => one.name === name)!;
  const request = { headers, rawBody: Buffer.alloc(0), query: {}, contentType: 'application/json', sourceIp: '' };
  return readable(provider.normalise({ value: value as Json, kind: 'json', request }, context));
};

describe('what a push does not list', () => {
  it('is absent, and said to be missing: GitLab sends 20 of 25 commits, here without paths', () => {
    const { data } = eventOf('gl-push-25-commits.http');
    expect(data['truncated']).toBe(true);
    expect(data['commits']).toHaveLength(20);
    for (const commit of data['commits'] as object[])
      expect(Object.keys(commit)).not.toEqual(expect.arrayContaining(['added']));
    // GitLab does not say whether history was rewritten.
    expect(data).not.toHaveProperty('forced');
  });

  it('is told from what is empty, list by list', () => {
    const lists = fc.record(
      {
        added: fc.oneof(fc.array(fc.string()), fc.constant(null)),
        modified: fc.array(fc.string()),
        removed: fc.array(fc.string()),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.constantFrom('github', 'gitlab'), lists, (name, given) => {
        const value = {
          object_kind: 'push',
          ref: 'refs/heads/main',
          repository: { full_name: 'acme/app' },
          project: { path_with_namespace: 'acme/app' },
          commits: [{ id: 'a', message: 'm', ...given }],
        };
        const [commit] = normalise(name, value, { 'x-github-event': 'push' }).events[0]!.data['commits'] as object[];
        for (const key of ['added', 'modified', 'removed'] as const)
          expect((commit as Record<string, unknown>)[key]).toEqual(given[key] ?? undefined);
      }),
    );
  });

  it('is said of GitHub where the list has as many commits as GitHub sends', () => {
    const push = (commits: number) =>
      normalise(
        'github',
        {
          ref: 'refs/heads/main',
          repository: { full_name: 'a/b' },
          commits: Array.from({ length: commits }, (_, n) => ({ id: String(n), added: [], modified: [], removed: [] })),
        },
        { 'x-github-event': 'push' },
      ).events[0]!.data['truncated'];
    expect([push(2047), push(2048)]).toEqual([undefined, true]);
  });
});

describe('labels and assignees', () => {
  const project = { path_with_namespace: 'acme/app' };
  const issue = { iid: 1, title: 't', state: 'opened' };
  const issueIn = (value: object) => normalise('gitlab', value).events[0]!.data['issue'];

  it('of a comment at GitLab are absent where it tells that there are some, and not who', () => {
    const note = { object_kind: 'note', project, object_attributes: { note: 'hi', noteable_type: 'Issue' } };
    expect(issueIn({ ...note, issue: { ...issue, assignee_ids: [41] } })).not.toHaveProperty('assignees');
    expect(issueIn({ ...note, issue })).not.toHaveProperty('labels');
    expect(issueIn({ ...note, issue: { ...issue, assignee_ids: [] } })).toMatchObject({ assignees: [] });
  });

  it('of an issue that changed are those that are listed', () => {
    const changed = { object_kind: 'issue', project, object_attributes: { ...issue, assignee_ids: [41], labels: [] } };
    expect(issueIn({ ...changed, assignees: [{ id: 41, username: 'bob' }] })).toMatchObject({
      assignees: ['bob'],
      labels: [],
    });
    expect(issueIn(changed)).not.toHaveProperty('assignees');
  });

  it('are absent at GitHub where it does not list them', () => {
    const github = { action: 'opened', repository: { full_name: 'a/b' }, issue: { number: 1, title: 't' } };
    const { data } = normalise('github', github, { 'x-github-event': 'issues' }).events[0]!;
    expect(data['issue']).toEqual({ number: 1, title: 't', state: 'open' });
  });
});

describe('what a sender leaves out', () => {
  const repository = { full_name: 'a/b' };
  const project = { path_with_namespace: 'a/b' };
  const [zeros, commit] = ['0'.repeat(40), 'c'.repeat(40)];
  const attributes = (kind: string, rest: object) => ({
    object_kind: kind,
    project,
    object_attributes: { iid: 1, title: 't', ...rest },
  });
  const issue = { number: 1, title: 't' };

  it.each<[string, string, string, object, object]>([
    ['a push', 'github', 'push', { repository, ref: 'refs/heads/x' }, { created: undefined, deleted: undefined }],
    [
      'a push with commits',
      'github',
      'push',
      { repository, ref: 'refs/heads/x', before: zeros, after: commit },
      { created: true, deleted: false },
    ],
    [
      'a push',
      'gitlab',
      '',
      { object_kind: 'push', project, ref: 'refs/heads/x' },
      { created: undefined, deleted: undefined },
    ],
    [
      'a push with one commit',
      'gitlab',
      '',
      { object_kind: 'tag_push', project, ref: 'refs/tags/x', after: zeros },
      { created: undefined, deleted: true },
    ],
    ['a label', 'github', 'issues', { action: 'labeled', repository, issue }, { issue }],
    [
      'a closed issue',
      'github',
      'issues',
      { action: 'closed', repository, issue },
      { issue: { ...issue, state: 'closed' } },
    ],
    [
      'a comment',
      'github',
      'issue_comment',
      { action: 'created', repository, issue, comment: { body: 'x' } },
      { issue },
    ],
    [
      'a comment on a pull request',
      'github',
      'issue_comment',
      { action: 'created', repository, issue: { ...issue, pull_request: {} }, comment: { body: 'x' } },
      { pullRequest: issue },
    ],
    [
      'new commits',
      'github',
      'pull_request',
      { action: 'synchronize', repository, pull_request: issue },
      { pullRequest: issue },
    ],
    [
      'a new pull request',
      'github',
      'pull_request',
      { action: 'opened', repository, pull_request: issue },
      { pullRequest: { ...issue, state: 'open' } },
    ],
    ['a change', 'gitlab', '', attributes('issue', { action: 'update' }), { issue }],
    ['a new issue', 'gitlab', '', attributes('issue', { action: 'open' }), { issue: { ...issue, state: 'open' } }],
    ['a change', 'gitlab', '', attributes('merge_request', { action: 'update' }), { pullRequest: issue }],
    [
      'a merge',
      'gitlab',
      '',
      attributes('merge_request', { action: 'merge' }),
      { pullRequest: { ...issue, state: 'merged' } },
    ],
    [
      'a comment on a merge request',
      'gitlab',
      '',
      {
        object_kind: 'note',
        project,
        object_attributes: { note: 'x', noteable_type: 'MergeRequest', action: 'create' },
        merge_request: { iid: 1, title: 't' },
      },
      { pullRequest: issue },
    ],
  ])('is absent, unless the action says it: %s at %s', (_, provider, event, payload, expected) => {
    const { type, data } = normalise(provider, payload, event === '' ? {} : { 'x-github-event': event }).events[0]!;
    expect(type).not.toBe('webhook.received');
    expect(Object.fromEntries(Object.keys(expected).map((key) => [key, data[key]]))).toEqual(expected);
  });
});

describe('a program', () => {
  const github = (user: object) =>
    normalise('github', { repository: { full_name: 'a/b' }, sender: user }, { 'x-github-event': 'star' }).events[0]!
      .data['author'];
  const gitlab = (username: string) => normalise('gitlab', { user: { username } }).events[0]!.data['author'];
  const slack = (event: object) =>
    normalise('slack', {
      type: 'event_callback',
      event: { type: 'message', channel: 'C1', text: 'x', ts: '1795180450.000100', ...event },
    }).events[0]!.data['author'];

  it('at GitHub is a user of type Bot, or the app that wrote a commit', () => {
    const { author, comment } = eventOf('gh-bot-comment.http').data as Record<string, Record<string, unknown>>;
    expect(author).toMatchObject({ username: 'millrace-helper[bot]', bot: true });
    expect(comment!['author']).toMatchObject({ bot: true });
    expect(github({ login: 'octocat', type: 'User' })).toEqual({ username: 'octocat' });
    expect(github({ login: 'dependabot[bot]' })).toEqual({ username: 'dependabot[bot]', bot: true });
  });

  it('at GitLab is the user of an access token', () => {
    for (const name of ['project_15_bot_4ffca233d8298ea1', 'group_7_bot', 'project_15_bot1'])
      expect(gitlab(name)).toEqual({ username: name, bot: true });
    for (const name of ['ada', 'my_project_15_bot_x', 'project_bot']) expect(gitlab(name)).toEqual({ username: name });
  });

  it.each([
    [{ bot_id: 'B1' }, { id: 'B1', bot: true }],
    [
      { user: 'U1', bot_profile: { id: 'B1', name: 'deploys' } },
      { id: 'U1', name: 'deploys', bot: true },
    ],
    [{ bot_profile: { name: 'deploys' } }, { name: 'deploys', bot: true }],
    [
      { subtype: 'bot_message', username: 'cron' },
      { username: 'cron', bot: true },
    ],
    [{ subtype: 'bot_message' }, { bot: true }],
    [{ user: 'USLACKBOT' }, { id: 'USLACKBOT', bot: true }],
    [{ user: 'U1' }, { id: 'U1' }],
  ])('at Slack is who sends %j', (event, author) => {
    expect(slack(event)).toEqual(author);
  });
});

describe('GitHub', () => {
  it('names a workflow that could not start, and calls that a failure', () => {
    expect(eventOf('gh-workflow-startup-failure.http')).toMatchObject({
      type: 'pipeline.finished',
      data: { pipeline: { name: 'CI', status: 'failure', id: '30433642' } },
    });
  });
});

describe('GitLab', () => {
  it('tests a hook without saying what was done: something changed', () => {
    expect(eventOf('gl-mr-test-no-action.http')).toMatchObject({
      type: 'pr.updated',
      subject: 'pull_request/acme/sub/group/app/1',
      data: { pullRequest: { number: 1, state: 'open' } },
    });
    const issue = { object_kind: 'issue', project: { path_with_namespace: 'a/b' }, object_attributes: { iid: 1 } };
    expect(normalise('gitlab', issue).events[0]!.type).toBe('issue.updated');
  });

  it('does not take whom something was done to for who did it', () => {
    expect(eventOf('gl-system-user-add.http').data).not.toHaveProperty('author');
    const update = { event_name: 'repository_update', user_id: 1, user_name: 'Ada' };
    expect(normalise('gitlab', update).events[0]!.data['author']).toEqual({ id: '1', name: 'Ada' });
  });

  it('announces a release: the event is from when it was made, not from its date to come', () => {
    expect(eventOf('gl-release-upcoming.http')).toMatchObject({
      type: 'release.published',
      timestamp: '2026-11-20T13:14:15Z',
    });
  });
});

describe('Slack', () => {
  it('a message that became a tombstone is not a message', () => {
    expect(eventOf('sl-tombstone.http')).toMatchObject({ type: 'webhook.received', subject: 'channel/C1' });
  });

  it('a reaction has the channel of its message', () => {
    expect(eventOf('sl-reaction.http')).toMatchObject({
      type: 'webhook.received',
      subject: 'channel/C1',
      data: { channel: { id: 'C1' }, author: { id: 'U1' } },
    });
  });

  it.each([
    ['sl-datepicker.http', { actionId: 'due', value: '2026-12-01' }],
    ['sl-checkboxes.http', { actionId: 'opts', value: ['a', 'b'] }],
    ['sl-dialog-submission.http', { actionId: 'emp', value: { name: 'x', loc: 'y' } }],
    ['sl-block-suggestion.http', { actionId: 'ext', value: 'se' }],
  ])('%s has a value', (file, interaction) => {
    const { type, data } = eventOf(file);
    expect(type).toBe('interaction.received');
    expect(data).toMatchObject({ interaction, channel: { id: 'C1' }, author: { id: 'U1' } });
  });

  const option = (value: string) => ({ text: { type: 'plain_text', text: value.toUpperCase() }, value });
  it.each<[string, object, unknown]>([
    ['button', { value: 'yes' }, 'yes'],
    ['static_select', { selected_option: option('a') }, 'a'],
    ['radio_buttons', { selected_option: null }, null],
    ['overflow', { selected_option: option('a') }, 'a'],
    ['multi_static_select', { selected_options: [option('a'), option('b')] }, ['a', 'b']],
    ['checkboxes', { selected_options: [] }, []],
    ['datepicker', { selected_date: null }, null],
    ['timepicker', { selected_time: '12:30' }, '12:30'],
    ['datetimepicker', { selected_date_time: 1_795_180_455 }, 1_795_180_455],
    ['users_select', { selected_user: 'U2' }, 'U2'],
    ['multi_users_select', { selected_users: ['U2'] }, ['U2']],
    ['conversations_select', { selected_conversation: 'C2' }, 'C2'],
    ['multi_conversations_select', { selected_conversations: ['C2', 'C3'] }, ['C2', 'C3']],
    ['channels_select', { selected_channel: 'C2' }, 'C2'],
    ['multi_channels_select', { selected_channels: ['C2'] }, ['C2']],
    ['plain_text_input', { value: 'text' }, 'text'],
    ['rich_text_input', { rich_text_value: { type: 'rich_text' } }, { type: 'rich_text' }],
    // Of attachments, the older kind.
    ['select', { name: 'menu', selected_options: [option('a')] }, 'a'],
  ])('the value of %s is what was chosen', (type, chosen, value) => {
    const body = {
      type: 'block_actions',
      actions: [{ type, action_id: 'it', initial_date: '2026-01-01', initial_user: 'U9', ...chosen }],
      view: { state: { values: { other: {} } } },
    };
    const provider = providerOf('sl-');
    const request = { headers: {}, rawBody: Buffer.alloc(0), query: {}, contentType: '', sourceIp: '' };
    const [event] = readable(provider.normalise({ value: body, kind: 'form', request }, context)).events;
    expect(event!.data['interaction']).toEqual({ kind: 'block_actions', actionId: 'it', value });
  });
});

describe('Teams', () => {
  const channel = { id: '19:0123456789abcdef0123456789abcdef@thread.tacv2', name: 'Ops' };

  it('a message in a channel names the channel, and its thread unless it is the first of it', () => {
    const root = eventOf('bf-thread-root.json');
    expect(root).toMatchObject({
      type: 'message.received',
      subject: `channel/${channel.id}`,
      data: { channel: { id: channel.id }, message: { id: '1771290107407', text: '<at>Bot</at> Hey' } },
    });
    expect(root.data['message']).not.toHaveProperty('threadId');
    // The copy of the text in HTML is not an attachment.
    expect(root.data['message']).not.toHaveProperty('attachments');
    expect(eventOf('bf-thread-followup.json').data).toMatchObject({
      channel: { id: channel.id },
      message: { id: '1771290110000', threadId: '1771290107407' },
    });
  });

  it('a card that is pressed is in the thread of the card', () => {
    expect(eventOf('bf-action-submit.json').data).toMatchObject({ channel, message: { threadId: '1771290107407' } });
  });

  it('a reply elsewhere names what it replies to', () => {
    const reply = { type: 'message', id: 'b', conversation: { id: 'c' }, replyToId: 'a' };
    expect(normalise('botframework', reply).events[0]!.data).toMatchObject({ message: { threadId: 'a' } });
  });

  it('a bot is known as one', () => {
    const author = (from: object, channelId = 'msteams') =>
      normalise('botframework', { type: 'typing', channelId, from }).events[0]!.data['author'];
    expect(author({ id: '28:b' })).toEqual({ id: '28:b', bot: true });
    expect(author({ id: '29:a' })).toEqual({ id: '29:a' });
    expect(author({ id: '28:a' }, 'directline')).toEqual({ id: '28:a' });
    expect(author({ id: 'x', role: 'skill' }, 'directline')).toEqual({ id: 'x', bot: true });
  });

  it('reactions to one message are deliveries of their own', () => {
    const ids = ['1-added-by-a', '2-removed-by-a', '3-added-by-b'].map(
      (name) => readable(made(`bf-reaction-${name}.json`)).deliveryId,
    );
    expect(new Set(ids).size).toBe(3);
    const { data } = eventOf('bf-reaction-1-added-by-a.json');
    expect(data).toMatchObject({ channel: { id: channel.id }, author: { id: '29:user-a' } });
  });

  it('activities have one id each, unless they are the same or messages with the same id', () => {
    const activity = fc.record(
      {
        type: fc.constantFrom('messageReaction', 'messageUpdate', 'messageDelete', 'invoke', 'event', 'message'),
        id: fc.constantFrom('1', '2', '1 messageUpdate'),
        channelId: fc.constantFrom('msteams', 'webchat'),
        conversation: fc.record({ id: fc.constantFrom('c', 'c 1', 'd') }),
        from: fc.record({ id: fc.constantFrom('a', 'b') }),
        timestamp: fc.constantFrom('2026-11-29T03:55:18Z', '2026-11-29T03:55:19Z'),
        reactionsAdded: fc.array(fc.record({ type: fc.constantFrom('like', 'heart') }), { maxLength: 2 }),
      },
      { requiredKeys: ['type', 'id', 'channelId', 'conversation'] },
    );
    const identity = (one: { type: string; id: string; channelId: string; conversation: { id: string } }) =>
      one.type === 'message' ? [one.channelId, one.conversation.id, one.id] : one;
    fc.assert(
      fc.property(activity, activity, (left, right) => {
        const isSame = JSON.stringify(identity(left)) === JSON.stringify(identity(right));
        const [one, other] = [left, right].map((value) => normalise('botframework', value).deliveryId);
        expect(one === other).toBe(isSame);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a CloudEvent in binary mode', () => {
  const headers = { 'ce-specversion': '1.0', 'ce-type': 'com.example.x', 'ce-source': '/probe', 'ce-id': '1' };
  const cloudEvent = (more: Record<string, string>) =>
    normalise('cloudevents', { a: 1 }, { ...headers, ...more }).events[0]!;

  it('keeps its extensions, where one in structured mode has them too', () => {
    const extensions = {
      partitionkey: 'p-1',
      tenantid: 'acme',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      dataschema: 'https://x/y',
    };
    const binary = eventOf('ce-binary-extensions.http');
    expect(binary.data['cloudEvent']).toMatchObject({
      ...extensions,
      type: 'com.example.x',
      source: '/probe',
      subject: 'a b',
      specversion: '1.0',
      datacontenttype: 'application/json',
    });
    const provider = providerOf('ce-');
    const request = { ...requestOf('ce-binary-extensions.http'), contentType: 'application/cloudevents+json' };
    const attributes = { specversion: '1.0', type: 't', source: '/s', id: '1', ...extensions };
    const value = { ...attributes, data: { a: 1 } };
    const structured = readable(provider.normalise({ value, kind: 'json', request }, context));
    expect(structured.events[0]!.data['cloudEvent']).toEqual(attributes);
  });

  it('may write attributes in quotes, as older senders do', () => {
    const { deliveryId, events } = readable(made('ce-binary-quoted.http'));
    expect([deliveryId, events[0]!.subject]).toEqual(['/probe q-1', 'a b']);
    expect(cloudEvent({ 'ce-subject': String.raw`"a \"b\" \\ c"` }).subject).toBe(String.raw`a "b" \ c`);
  });

  it('may write attributes in UTF-8, percent-encoded or not', () => {
    expect(eventOf('ce-binary-raw-utf8.http').subject).toBe('Zoë ☃');
    expect(cloudEvent({ 'ce-subject': 'Zo%C3%AB%20%E2%98%83' }).subject).toBe('Zoë ☃');
    // One round: an encoded percent sign is a percent sign.
    expect(cloudEvent({ 'ce-subject': 'a%2520b' }).subject).toBe('a%20b');
  });

  it.each(['x%ff%zz', '%', 'a%2', '%ff', '%C3'])('is refused where an attribute is %j', (subject) => {
    const request = { ...requestOf('ce-binary-quoted.http'), headers: { ...headers, 'ce-subject': subject } };
    const body = { value: {}, kind: 'json', request } as const;
    expect(providerOf('ce-').normalise(body, context)).toMatchObject({
      unreadable: expect.stringContaining('ce-subject'),
    });
    expect(made('ce-binary-invalid-percent.http')).toHaveProperty('unreadable');
  });

  it('has the attributes that were encoded, whatever they are', () => {
    const encode = (text: string) =>
      text.replace(/[^!#$&-~]|%/gu, (letter) =>
        Buffer.from(letter, 'utf8').reduce((all, byte) => `${all}%${byte.toString(16).padStart(2, '0')}`, ''),
      );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (text) => {
        expect(cloudEvent({ 'ce-subject': encode(text) }).subject).toBe(text);
      }),
    );
  });
});

describe('the delivery id of a CloudEvent', () => {
  const idOf = (source: string, id: string) =>
    normalise(
      'cloudevents',
      {},
      {
        'ce-specversion': '1.0',
        'ce-type': 't',
        'ce-source': encodeURIComponent(source),
        'ce-id': encodeURIComponent(id),
      },
    ).deliveryId;

  it('is one for each pair of source and id', () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', ' ', '%', '2', '0', '[', '"', ','), minLength: 1, maxLength: 6 }),
      fc.constantFrom('a', 'a b', 'b c', 'c', '["a b","c"]'),
    );
    const visible = text.filter((value) => value.trim() !== '' && value === value.trim() && !/^".*"$/.test(value));
    fc.assert(
      fc.property(visible, visible, visible, visible, (source, id, otherSource, otherId) => {
        expect(idOf(source, id) === idOf(otherSource, otherId)).toBe(source === otherSource && id === otherId);
      }),
      { numRuns: 500 },
    );
    expect(idOf('/a b', 'c')).not.toBe(idOf('/a', 'b c'));
    expect(idOf('/acme/orders', 'A-1')).toBe('/acme/orders A-1');
  });
});
