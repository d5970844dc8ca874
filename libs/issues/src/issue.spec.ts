import { describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { type Author, execute } from '#libs/event-store/src/command-handlers.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';

import { DedupeKeys } from './dedupe-keys.js';
import {
  CommentOnIssue,
  OpenIssue,
  UpdateIssue,
  comment,
  issue,
  type IssueChanges,
  type IssueFields,
  open,
  update,
} from './issue.js';

const me: Author = { orgId: 'org_1', actor: 'token/tok_1' };
const stranger: Author = { orgId: 'org_2', actor: 'token/tok_2' };
const fields: IssueFields = { title: 'DB latency', body: 'slow', status: 'open', priority: 'high', labels: ['db'] };
const clock = new FixedClock();

async function opened() {
  const store = new MemoryEventStore();
  await execute(store, clock, issue, open, new OpenIssue('i', me, fields));
  const change = (changes: IssueChanges, author = me) =>
    execute(store, clock, issue, update, new UpdateIssue('i', author, changes));
  const types = async () => (await store.readStream(streams.issue('i'))).map(({ type }) => type);
  return { store, change, types };
}

describe('an issue', () => {
  it('reads the same as one of a code host, with flat fields beside it', async () => {
    const { store } = await opened();
    const [event] = await store.readStream(streams.issue('i'));
    expect(event!.data).toEqual({
      issueId: 'i',
      title: 'DB latency',
      status: 'open',
      priority: 'high',
      issue: {
        id: 'i',
        title: 'DB latency',
        body: 'slow',
        state: 'open',
        status: 'open',
        priority: 'high',
        labels: ['db'],
        assignees: [],
      },
    });
  });

  it('is opened once, however often it is asked for', async () => {
    const { store, types } = await opened();
    await execute(store, clock, issue, open, new OpenIssue('i', me, fields));
    expect(await types()).toEqual(['issue.created']);
    const other = new OpenIssue('i', me, { ...fields, title: 'other' });
    await expect(execute(store, clock, issue, open, other)).rejects.toMatchObject({ code: 'issue.exists' });
  });

  it.each<[string, IssueChanges, string[], Partial<IssueFields>]>([
    ['nothing', { title: 'DB latency', labels: ['db'] }, [], {}],
    ['the title', { title: 'x' }, ['issue.updated'], { title: 'x' }],
    ['the status', { status: 'closed' }, ['issue.status_changed'], { status: 'closed' }],
    [
      'both',
      { title: 'x', status: 'resolved' },
      ['issue.updated', 'issue.status_changed'],
      { title: 'x', status: 'resolved' },
    ],
    ['the assignee', { assignee: 'ada' }, ['issue.updated'], { assignee: 'ada' }],
  ])('records a change of %s', async (_, changes, appended, now) => {
    const { change, types } = await opened();
    const { state } = await change(changes);
    expect((await types()).slice(1)).toEqual(appended);
    expect(state).toMatchObject({ kind: 'tracked', fields: { ...fields, ...now } });
  });

  it('loses a field that is set to null', async () => {
    const { change } = await opened();
    const { state } = await change({ body: null, priority: null });
    expect(state).toEqual({
      kind: 'tracked',
      orgId: 'org_1',
      comments: 0,
      fields: { title: 'DB latency', status: 'open', labels: ['db'] },
    });
  });

  it('says which fields changed, and from which status to which', async () => {
    const { store, change } = await opened();
    await change({ priority: 'low', labels: [], status: 'in_progress' });
    const [, updated, moved] = await store.readStream(streams.issue('i'));
    expect(updated!.data).toMatchObject({ changed: ['priority', 'labels'] });
    expect(moved!.data).toMatchObject({ from: 'open', to: 'in_progress', issue: { priority: 'low' } });
  });

  it('has its flat fields as they are after each change', async () => {
    const { store, change } = await opened();
    await change({ title: 'x', priority: null, team: 'core', assignee: 'ada', status: 'closed' });
    const [, updated, moved] = await store.readStream(streams.issue('i'));
    const flat = { issueId: 'i', title: 'x', teamId: 'core', assigneeId: 'ada' };
    expect(updated!.data).toMatchObject({ ...flat, status: 'open' });
    expect(moved!.data).toMatchObject({ ...flat, status: 'closed' });
    expect(moved!.data).not.toHaveProperty('priority');
  });

  it('is unknown to other organisations', async () => {
    const { store, change } = await opened();
    await expect(change({ title: 'x' }, stranger)).rejects.toMatchObject({ code: 'issue.not_found' });
    const words = new CommentOnIssue('i', stranger, 'c', 'hello');
    await expect(execute(store, clock, issue, comment, words)).rejects.toMatchObject({ code: 'issue.not_found' });
    await expect(execute(store, clock, issue, update, new UpdateIssue('unheard-of', me, {}))).rejects.toMatchObject({
      code: 'issue.not_found',
    });
  });

  it('cuts a title that is too long', async () => {
    const store = new MemoryEventStore();
    const { state } = await execute(
      store,
      clock,
      issue,
      open,
      new OpenIssue('i', me, { ...fields, title: 'x'.repeat(9_000) }),
    );
    expect(state).toMatchObject({ fields: { title: expect.stringMatching(/^x{499}…$/) } });
  });
});

describe('dedupe keys', () => {
  it('are held by the first that takes them, until it lets go', () => {
    const keys = new DedupeKeys([{ orgId: 'org_1', key: 'a', issueId: 'stored' }]);
    keys.take('org_1', 'a', 'other');
    expect(keys.holder('org_1', 'a')).toBe('stored');
    keys.free('org_1', 'a', 'other');
    expect(keys.holder('org_1', 'a')).toBe('stored');
    keys.free('org_1', 'a', 'stored');
    expect(keys.holder('org_1', 'a')).toBeUndefined();
    keys.take('org_1', 'a', 'third');
    keys.take('org_2', 'a', 'theirs');
    expect(keys.holder('org_1', 'a')).toBe('third');
    expect(keys.changes).toEqual([
      { orgId: 'org_1', key: 'a', issueId: 'third' },
      { orgId: 'org_2', key: 'a', issueId: 'theirs' },
    ]);
  });

  it('that nobody touched are not stored again', () => {
    expect(new DedupeKeys([{ orgId: 'o', key: 'a', issueId: 'i' }]).changes).toEqual([]);
  });
});
