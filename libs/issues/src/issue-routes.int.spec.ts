import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandBus } from '@nestjs/cqrs';

import type { Caller } from '#libs/access/src/caller.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute, type ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { Progress, Subscriber } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { useViews } from '../../../test/support/views.js';
import { Follower } from '../../persistence/testing/follower.js';
import { IssueController } from './issue.controller.js';
import { CommentOnIssue, OpenIssue, UpdateIssue, comment, issue, open, update } from './issue.js';
import { IssueProjection } from './issue.projection.js';
import { IssueCommentView, IssueView } from './issue.view.js';
import { OpenIssues } from './open.subscriber.js';

const views = useViews({ entities: [IssueView, IssueCommentView] });
let store: MemoryEventStore;
let follower: Follower;
const clock = new FixedClock();

beforeEach(async () => {
  store = new MemoryEventStore();
  follower = new Follower(store, views.dataSource);
});

const run = (subscriber: Subscriber, crash = false) => follower.run(subscriber, crash);

async function requested(given: Partial<DataOf<'issue.requested'>> = {}, orgId = 'org_1'): Promise<string> {
  const id = uuid7();
  const requestedBy = { kind: 'rule' as const, ruleId: 'rul_1', ruleVersion: 1, index: 0 };
  const data = { requestedBy, eventId: 'evt_1', title: 'DB latency', ...given };
  const draft = { type: 'issue.requested' as const, data };
  await store.append(
    streams.decisions(id),
    [newEvent(draft, { id, orgId, actor: 'rule/rul_1', now: clock.now() })],
    'no-stream',
  );
  return id;
}
const change = (id: string, changes: object) =>
  execute(store, clock, issue, update, new UpdateIssue(id, { orgId: 'org_1', actor: 'token/tok_1' }, changes));

async function outcomes(): Promise<{ type: string; issueId?: string | undefined; cause: string | undefined }[]> {
  const { events } = await store.readAll({ limit: 1_000 });
  return events
    .filter(({ type }) => type !== 'issue.requested' && type !== 'issue.status_changed')
    .map(({ type, data, metadata }) => ({
      type,
      issueId: (data as { issueId?: string }).issueId,
      cause: metadata.$causationId,
    }));
}

describe('a request for an issue', () => {
  it('opens one, caused by the request and on behalf of the rule', async () => {
    const request = await requested({ body: 'slow', priority: 'high', labels: ['db'], assignee: 'ada' });
    await run(new OpenIssues(store, clock));
    const [event] = (await store.readAll({ limit: 10, filter: { types: ['issue.created'] } })).events;
    expect(event!.metadata).toMatchObject({ $causationId: request, hop: 1, orgId: 'org_1', actor: 'rule/rul_1' });
    expect(event!.data).toMatchObject({
      issue: { title: 'DB latency', body: 'slow', priority: 'high', labels: ['db'], assignee: 'ada', status: 'open' },
      requestedBy: { kind: 'rule', ruleId: 'rul_1' },
    });
  });

  it('is done once, although it is handled again after a crash', async () => {
    await requested();
    await requested({ dedupeKey: 'k' });
    await requested({ dedupeKey: 'k' });
    await run(new OpenIssues(store, clock), true);
    const before = await outcomes();
    expect(before.map(({ type }) => type)).toEqual(['issue.created', 'issue.created', 'issue.commented']);
    await run(new OpenIssues(store, clock));
    expect(await outcomes()).toEqual(before);
  });

  it('that names an issue comments on it, labels it and closes it, once', async () => {
    await requested({ labels: ['db'], dedupeKey: 'k' });
    await run(new OpenIssues(store, clock));
    const issue = (await outcomes())[0]!.issueId!;
    await requested({ issue, title: 'Done', labels: ['fixed'], close: true });
    await run(new OpenIssues(store, clock), true);
    await run(new OpenIssues(store, clock));
    const types = ['issue.commented', 'issue.updated', 'issue.status_changed'] as const;
    const { events } = await store.readAll({ limit: 10, filter: { types } });
    expect(events.map(({ type, data }) => ({ type, data }))).toMatchObject([
      { type: 'issue.commented', data: { body: 'Done', issueId: issue, title: expect.any(String), status: 'open' } },
      { type: 'issue.updated', data: { issue: { labels: ['db', 'fixed'] } } },
      { type: 'issue.status_changed', data: { from: 'open', to: 'closed' } },
    ]);
    // Its key is free.
    await requested({ dedupeKey: 'k' });
    await run(new OpenIssues(store, clock));
    expect((await outcomes()).at(-1)).toMatchObject({ type: 'issue.created' });
  });

  it('that names an issue of nobody is refused', async () => {
    const request = await requested({ issue: 'iss_nowhere' });
    await run(new OpenIssues(store, clock));
    const { events } = await store.readAll({ limit: 10, filter: { types: ['action.refused'] } });
    expect(events).toMatchObject([{ data: { reason: 'unknown-issue' }, metadata: { $causationId: request } }]);
    expect(await outcomes()).toMatchObject([{ type: 'action.refused' }]);
  });

  it('for a tracker outside is left to whoever asks those', async () => {
    await requested({ tracker: 'jira', dedupeKey: 'k' });
    await run(new OpenIssues(store, clock));
    expect(await outcomes()).toEqual([]);
    await requested({ dedupeKey: 'k' });
    await run(new OpenIssues(store, clock));
    expect(await outcomes()).toMatchObject([{ type: 'issue.created' }]);
  });
});

describe('a dedupe key', () => {
  it('keeps one open issue: further requests add comments, in one batch and in later ones', async () => {
    const subscriber = new OpenIssues(store, clock);
    const first = await requested({ dedupeKey: 'db' });
    const second = await requested({ dedupeKey: 'db', title: 'again', body: 'and again' });
    await run(subscriber);
    const third = await requested({ dedupeKey: 'db' });
    await run(subscriber);
    const [created, ...comments] = await outcomes();
    expect(created).toMatchObject({ type: 'issue.created', cause: first });
    expect(comments).toEqual([
      { type: 'issue.commented', issueId: created!.issueId, cause: second },
      { type: 'issue.commented', issueId: created!.issueId, cause: third },
    ]);
    const [said] = (await store.readAll({ limit: 10, filter: { types: ['issue.commented'] } })).events;
    expect((said!.data as { body: string }).body).toBe('Again: again\n\nand again');
  });

  it('is free again when the issue is closed, and held again when it is opened again', async () => {
    const subscriber = new OpenIssues(store, clock);
    await requested({ dedupeKey: 'db' });
    await run(subscriber);
    const first = (await outcomes())[0]!.issueId!;
    await change(first, { status: 'closed' });
    await change(first, { status: 'in_progress' });
    await requested({ dedupeKey: 'db' });
    await run(subscriber);
    expect((await outcomes()).at(-1)).toMatchObject({ type: 'issue.commented', issueId: first });
    await change(first, { status: 'resolved' });
    await requested({ dedupeKey: 'db' });
    await run(subscriber);
    const second = (await outcomes()).at(-1)!;
    expect(second.type).toBe('issue.created');
    expect(second.issueId).not.toBe(first);
    // The key has another holder now.
    await change(first, { status: 'open' });
    await requested({ dedupeKey: 'db' });
    await run(subscriber);
    expect((await outcomes()).at(-1)).toMatchObject({ type: 'issue.commented', issueId: second.issueId });
  });

  it('is free when the issue was closed before the request, although nobody had looked yet', async () => {
    const subscriber = new OpenIssues(store, clock);
    await requested({ dedupeKey: 'db' });
    await run(subscriber);
    await change((await outcomes())[0]!.issueId!, { status: 'closed' });
    await requested({ dedupeKey: 'db' });
    await run(subscriber);
    expect((await outcomes()).map(({ type }) => type)).toEqual(['issue.created', 'issue.created']);
  });

  it('belongs to one organisation', async () => {
    await requested({ dedupeKey: 'db' }, 'org_1');
    await requested({ dedupeKey: 'db' }, 'org_2');
    await run(new OpenIssues(store, clock));
    expect((await outcomes()).map(({ type }) => type)).toEqual(['issue.created', 'issue.created']);
  });

  it('may be long, and may hold what a database does not', async () => {
    for (const dedupeKey of ['x'.repeat(50_000), 'a\u0000b']) {
      await requested({ dedupeKey });
      await requested({ dedupeKey });
    }
    await run(new OpenIssues(store, clock));
    expect((await outcomes()).map(({ type }) => type).sort()).toEqual([
      'issue.commented',
      'issue.commented',
      'issue.created',
      'issue.created',
    ]);
  });

  it('of an issue that a code host tells about is nobody of ours', async () => {
    const data = { issueId: 'iss_x', dedupeKey: 'db', issue: { title: 't', state: 'open', labels: [], assignees: [] } };
    const told = newEvent(
      { type: 'issue.created', data },
      { id: uuid7(), orgId: 'org_1', actor: 'x', now: clock.now() },
    );
    await store.append(streams.inbound('int_1', 'x'), [told], 'no-stream');
    await requested({ dedupeKey: 'db' });
    await run(new OpenIssues(store, clock));
    expect((await outcomes()).map(({ type }) => type)).toEqual(['issue.created', 'issue.created']);
    await run(new IssueProjection());
    expect(await views.dataSource.getRepository(IssueView).count()).toBe(1);
  });
});

describe('the REST controller', () => {
  const caller: Caller = { orgId: 'org_1', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
  const decisions = new Map<unknown, unknown>([
    [OpenIssue, open],
    [UpdateIssue, update],
    [CommentOnIssue, comment],
  ]);
  const commands = {
    execute: (command: ThingCommand) =>
      execute(store, clock, issue, decisions.get(command.constructor) as never, command as never),
  } as unknown as CommandBus;
  const progress: Progress = { whenProcessed: () => run(new IssueProjection()) };
  const controller = () => new IssueController(commands, views.dataSource, progress);

  it('opens, changes, comments on and lists issues', async () => {
    const api = controller();
    const made = await api.open(caller, { title: 'first', labels: ['a'], priority: 'low' });
    expect(made).toMatchObject({
      title: 'first',
      status: 'open',
      labels: ['a'],
      priority: 'low',
      comments: 0,
      createdBy: 'token/tok_1',
    });
    const changed = await api.change(caller, made.id, { status: 'resolved', priority: null, assignee: 'ada' });
    expect(changed).toMatchObject({ status: 'resolved', priority: null, assignee: 'ada', title: 'first' });
    const said = await api.comment(caller, made.id, { body: 'done' });
    expect((await api.comments(caller, made.id)).data).toEqual([said]);
    expect((await api.view(caller, made.id)).comments).toBe(1);
    const second = await api.open(caller, { title: 'second' });
    expect((await api.list(caller, 'open')).data.map(({ id }) => id)).toEqual([second.id]);
    expect((await api.list(caller, undefined, 'ada')).data.map(({ id }) => id)).toEqual([made.id]);
    const page = await api.list(caller, undefined, undefined, '1');
    const rest = await api.list(caller, undefined, undefined, '1', page.nextCursor!);
    expect([...page.data, ...rest.data].map(({ id }) => id).sort()).toEqual([made.id, second.id].sort());
    expect(rest.nextCursor).toBeNull();
  });

  it('shows nothing to another organisation', async () => {
    const api = controller();
    const made = await api.open(caller, { title: 'first' });
    const stranger = { ...caller, orgId: 'org_2' };
    await expect(api.view(stranger, made.id)).rejects.toMatchObject({ code: 'issue.not_found' });
    await expect(api.change(stranger, made.id, { title: 'x' })).rejects.toMatchObject({ code: 'issue.not_found' });
    await expect(api.comments(stranger, made.id)).rejects.toMatchObject({ code: 'issue.not_found' });
    expect((await api.list(stranger)).data).toEqual([]);
  });

  it('refuses to take away what every issue has', async () => {
    const made = await controller().open(caller, { title: 'first' });
    await expect(controller().change(caller, made.id, { title: null } as never)).rejects.toMatchObject({
      problems: [{ pointer: '/title' }],
    });
  });
});

describe('the rows', () => {
  it('are the same when they are built again, and when batches overlap', async () => {
    const subscriber = new OpenIssues(store, clock);
    await requested({ dedupeKey: 'a', body: 'NUL \u0000 inside' });
    await requested({ dedupeKey: 'a' });
    await run(subscriber);
    await change((await outcomes())[0]!.issueId!, { status: 'closed', labels: ['x'] });
    await run(new IssueProjection(), true);
    await run(new IssueProjection());
    const rows = () => views.dataSource.query('select * from views.issues order by id');
    const before = await rows();
    expect(before).toMatchObject([{ status: 'closed', comments: 1, labels: ['x'], body: 'NUL \ufffd inside' }]);
    await views.dataSource.query('truncate views.issues, views.issue_comments');
    await follower.again(new IssueProjection());
    expect(await rows()).toEqual(before);
  });
});
