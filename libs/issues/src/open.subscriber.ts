import { Inject, Injectable } from '@nestjs/common';

import { appendOnce } from '#libs/event-store/src/append-once.js';
import { fold } from '#libs/event-store/src/command-handlers.js';
import {
  EventStore,
  type EventToAppend,
  type RecordedEvent,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { causedBy } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { againText } from '#libs/events/src/shapes/issue-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { derivedId, uuid5 } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { indexKey } from '#libs/kernel/src/text/text.js';
import { loadRows, removeRows, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { DedupeKeys } from './dedupe-keys.js';
import { created, flat, isOpen, issue, type IssueEventType, notFound, update, UpdateIssue } from './issue.js';
import { IssueKeyView } from './issue.view.js';

type Requested = RecordedEvent<'issue.requested'>;

/** What is to be appended, decided in the order of the log. */
interface Task {
  readonly request: Requested;
  readonly issueId: string;
  readonly stream: string;
  readonly subject: string;
  readonly draft: EventDraft<IssueEventType | 'action.refused'>;
}

const CONCURRENT_APPENDS = 32;
const MAX_TRIES = 10;

/**
 * Fulfils `issue.requested`: opens an issue in a stream that is named after the request, or, where an open issue has
 * the request's dedupe key, adds a comment to it. A request that names an issue changes that one.
 *
 * Which issue has a key is known from the log alone, as it was at the request: one instance handles requests in the
 * order of the log, and keeps the keys in the transaction of its checkpoint. Two requests with one key can therefore
 * never open two issues, and looking at a request again comes to the same.
 */
@Injectable()
export class OpenIssues implements Subscriber {
  readonly name = followers.openIssues;
  readonly reads = ['issue.requested', 'issue.created', 'issue.status_changed'] as const;
  readonly writes = [
    'issue.created',
    'issue.commented',
    'issue.updated',
    'issue.status_changed',
    'action.refused',
  ] as const;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const named = events.flatMap((event) => keyOf(event) ?? []);
    const tx = named.length > 0 ? await context.transaction() : undefined;
    const keys = new DedupeKeys(tx ? await load(tx, named) : []);
    const tasks = events.flatMap((event) => this.taskFor(event, keys));
    // A comment may be about an issue of the same batch, and comments on one issue follow each other.
    await inParallel(
      tasks.filter(({ draft }) => draft.type !== 'issue.commented'),
      CONCURRENT_APPENDS,
      (task) => this.open(task),
    );
    const comments = new Map<string, Task[]>();
    for (const task of tasks)
      if (task.draft.type === 'issue.commented')
        comments.set(task.stream, [...(comments.get(task.stream) ?? []), task]);
    await inParallel([...comments.values()], CONCURRENT_APPENDS, async (ofIssue) => {
      for (const task of ofIssue) await this.appendAtEnd(task);
    });
    if (tx) await save(tx, keys);
  }

  private taskFor(event: RecordedEvent, keys: DedupeKeys): Task[] {
    const { orgId } = event.metadata;
    const key = keyOf(event)?.key;
    if (!event.is('issue.requested')) {
      if (key !== undefined && event.is('issue.created', 'issue.status_changed')) {
        const { issueId, issue } = event.data;
        if (isOpen(issue.status)) keys.take(orgId, key, issueId!);
        else keys.free(orgId, key, issueId!);
      }
      return [];
    }
    const { tracker, issue: named } = event.data;
    // Trackers outside are asked by the stage `actions`.
    if (tracker !== undefined && tracker !== 'builtin') return [];
    if (named !== undefined) return [commentOn(event, named, event.data.body ?? event.data.title)];
    const holder = key === undefined ? undefined : keys.holder(orgId, key);
    if (holder !== undefined) return [commentOn(event, holder, againText(event.data))];
    if (key !== undefined) keys.take(orgId, key, issueIdOf(event));
    return [opening(event)];
  }

  private async open(task: Task): Promise<void> {
    crashPoint('issues.before-append');
    await appendOnce(this.store, task.stream, [this.eventOf(task)]);
  }

  private async appendAtEnd(task: Task): Promise<void> {
    crashPoint('issues.before-append');
    const { id: commentId } = this.eventOf(task);
    for (let tries = 1; ; tries++) {
      const there = await readWhole(this.store, task.stream);
      if (there.some(({ id }) => id === commentId)) return;
      const events = this.changesOf(task, there);
      if (!events) return this.refuse(task.request);
      try {
        await this.store.append(task.stream, events, there.at(-1)?.revision ?? 'no-stream');
        return;
      } catch (error) {
        // Somebody changed the issue at the same moment.
        if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
      }
    }
  }

  /** The comment and what follows it; `undefined` where the organisation has no such issue. */
  private changesOf(task: Task, there: readonly RecordedEvent[]): readonly EventToAppend[] | undefined {
    const { request, issueId, draft } = task;
    const { orgId, actor } = request.metadata;
    const { issue: named, labels = [], close } = request.data;
    const state = fold(issue, there);
    if (state.kind !== 'tracked' || state.orgId !== orgId) return undefined;
    const fields = flat(issueId, state.fields);
    const comment = this.eventOf({ ...task, draft: { ...draft, data: { ...fields, ...draft.data } } as Task['draft'] });
    if (named === undefined) return [comment];
    const changes = {
      labels: [...new Set([...state.fields.labels, ...labels])],
      ...(close === true && { status: 'closed' as const }),
    };
    const drafts = update(state, new UpdateIssue(issueId, { orgId, actor }, changes), this.clock.now());
    return [comment, ...drafts.map((change) => this.eventOf({ ...task, draft: change }))];
  }

  private async refuse(request: Requested): Promise<void> {
    const { eventId, requestedBy, issue: named = '' } = request.data;
    const detail = notFound(named).message;
    const data = { action: 'create_issue', reason: 'unknown-issue', detail, eventId, requestedBy };
    const subject = request.metadata.subject;
    const refusal = this.eventOf({ request, draft: { type: 'action.refused', data }, subject });
    await appendOnce(this.store, streams.refused(this.name, request.id), [refusal]);
  }

  private eventOf({ request, draft, subject }: Pick<Task, 'request' | 'draft' | 'subject'>): EventToAppend {
    const { orgId, actor } = request.metadata;
    const isChange = draft.type === 'issue.updated' || draft.type === 'issue.status_changed';
    const id = uuid5(request.id, this.name, ...(isChange ? [draft.type] : []));
    return newEvent(draft, { id, orgId, actor, now: this.clock.now(), cause: causedBy(request), subject });
  }
}

const issueIdOf = (request: Requested): string => derivedId('iss', 'issue', request.id);

function opening(request: Requested): Task {
  const { title, body, priority, labels = [], assignee, dedupeKey, requestedBy } = request.data;
  const id = issueIdOf(request);
  const fields = {
    title,
    ...(body !== undefined && { body }),
    status: 'open' as const,
    ...(priority !== undefined && { priority }),
    labels,
    ...(assignee !== undefined && { assignee }),
  };
  const data = created(id, fields, { requestedBy, ...(dedupeKey !== undefined && { dedupeKey }) });
  const subject = `issue/${id}`;
  return { request, issueId: id, stream: streams.issue(id), subject, draft: { type: 'issue.created', data } };
}

function commentOn(request: Requested, issueId: string, body: string): Task {
  const { requestedBy } = request.data;
  const data = { issueId, commentId: uuid5(request.id, followers.openIssues), body, requestedBy };
  return {
    request,
    issueId,
    stream: streams.issue(issueId),
    subject: `issue/${issueId}`,
    draft: { type: 'issue.commented', data },
  };
}

interface Key {
  readonly orgId: string;
  readonly key: string;
}

/** The dedupe key that an event is about: of a request, or of an issue of this tracker. Code hosts' are in other streams. */
function keyOf(event: RecordedEvent): Key | undefined {
  if (!event.is('issue.requested', 'issue.created', 'issue.status_changed')) return undefined;
  const { dedupeKey } = event.data;
  if (dedupeKey === undefined || (event.is('issue.requested') && (event.data.tracker ?? 'builtin') !== 'builtin'))
    return undefined;
  if (event.is('issue.created', 'issue.status_changed') && event.stream !== streams.issue(event.data.issueId ?? ''))
    return undefined;
  return { orgId: event.metadata.orgId, key: indexKey('issue-key', dedupeKey) };
}

async function load(tx: ViewTransaction, keys: readonly Key[]) {
  const rows = await loadRows(
    tx,
    IssueKeyView,
    keys.map(({ orgId, key }) => ({ orgId, dedupeKey: key })),
  );
  return rows.map(({ orgId, dedupeKey, issueId }) => ({ orgId, key: dedupeKey, issueId }));
}

async function save(tx: ViewTransaction, { changes }: DedupeKeys): Promise<void> {
  const freed = changes.filter(({ issueId }) => issueId === null);
  await removeRows(
    tx,
    IssueKeyView,
    freed.map(({ orgId, key }) => ({ orgId, dedupeKey: key })),
  );
  const taken = changes.flatMap(({ orgId, key, issueId }) =>
    issueId === null ? [] : [{ orgId, dedupeKey: key, issueId }],
  );
  await upsertRows(tx, IssueKeyView, taken);
}
