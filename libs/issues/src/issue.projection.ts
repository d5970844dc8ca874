import { Injectable } from '@nestjs/common';

import { fold, typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { loadRows, type RowOf, type StoredRow, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { issue, type Issue, type IssueFields } from './issue.js';
import { IssueCommentView, IssueView } from './issue.view.js';

type Row = StoredRow<IssueView>;

/** Issues of the built-in tracker and their comments as rows. */
@Injectable()
export class IssueProjection implements Subscriber {
  readonly name = followers.issueViews;
  readonly reads = typesOf(issue);
  readonly writes = [] as const;
  readonly keeps = { tables: ['issues', 'issue_comments'], foldVersion: 1 } as const;
  readonly readsSealed = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    // Issues of code hosts have the same event types, in the streams of their integrations.
    const own = events
      .filter((event) => event.is(...this.reads))
      .filter((event) => event.data.issueId !== undefined && event.stream === streams.issue(event.data.issueId));
    if (own.length === 0) return;
    const tx = await context.transaction();
    const ids = [...new Set(own.map((event) => event.data.issueId!))];
    const stored = await loadRows(
      tx,
      IssueView,
      ids.map((id) => ({ id })),
    );
    const rows = new Map<string, Row>(stored.map((row) => [row.id, row]));
    for (const event of own) {
      const id = event.data.issueId!;
      const before = rows.get(id);
      const state = fold(issue, [event], before ? stateOf(before) : issue.initial);
      if (state.kind === 'unknown') continue;
      const { timestamp, actor } = event.metadata;
      rows.set(
        id,
        rowOf({
          id,
          state,
          revision: event.revision,
          createdBy: before?.createdBy ?? actor,
          createdAt: before?.createdAt ?? timestamp,
          updatedAt: timestamp,
        }),
      );
    }
    await upsertRows(tx, IssueView, [...rows.values()]);
    const comments = own.filter((event) => event.is('issue.commented')).map(commentOf);
    await upsertRows(tx, IssueCommentView, comments, { onConflict: 'nothing' });
  }
}

interface Told<Time> {
  readonly id: string;
  readonly state: Extract<Issue, { kind: 'tracked' }>;
  readonly revision: bigint;
  readonly createdBy: string;
  readonly createdAt: Time;
  readonly updatedAt: Time;
}

/** What the state of an issue and its times make in the list. */
export function rowOf<Time>({ id, state, revision, createdBy, createdAt, updatedAt }: Told<Time>) {
  const { fields, orgId, dedupeKey, comments } = state;
  return {
    id,
    orgId,
    title: fields.title,
    body: fields.body ?? null,
    status: fields.status,
    priority: fields.priority ?? null,
    labels: fields.labels,
    assignee: fields.assignee ?? null,
    team: fields.team ?? null,
    dedupeKey: dedupeKey ?? null,
    comments,
    revision: String(revision),
    createdBy,
    createdAt,
    updatedAt,
  };
}

function stateOf({ orgId, title, body, status, priority, labels, assignee, team, dedupeKey, comments }: Row): Issue {
  const fields: IssueFields = {
    title,
    status,
    labels,
    ...(body !== null && { body }),
    ...(priority !== null && { priority }),
    ...(assignee !== null && { assignee }),
    ...(team !== null && { team }),
  };
  return { kind: 'tracked', orgId, fields, comments, ...(dedupeKey !== null && { dedupeKey }) };
}

const commentOf = ({ data, metadata, position }: RecordedEvent<'issue.commented'>): RowOf<IssueCommentView> => ({
  id: data.commentId,
  issueId: data.issueId,
  orgId: metadata.orgId,
  position,
  body: data.body,
  createdBy: metadata.actor,
  createdAt: metadata.timestamp,
});
