import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

import { fold } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { storable } from '#libs/kernel/src/text.js';

import { issue, type Issue, type IssueFields } from './issue.js';
import { IssueView } from './issue.view.js';

type Row = Omit<IssueView, 'createdAt' | 'updatedAt'> & { readonly createdAt: string; readonly updatedAt: string };

/** Issues of the built-in tracker and their comments as rows. */
@Injectable()
export class IssueProjection implements Subscriber {
  readonly name = followers.issueViews;
  readonly reads = ['issue.created', 'issue.updated', 'issue.status_changed', 'issue.commented'] as const;
  readonly writes = [] as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    // Code hosts' issues are told by the same types, in the streams of their integrations.
    const own = events
      .filter((event) => event.is(...this.reads))
      .filter((event) => event.data.issueId !== undefined && event.stream === streams.issue(event.data.issueId));
    if (own.length === 0) return;
    const tx = await context.transaction();
    const ids = [...new Set(own.map((event) => event.data.issueId!))];
    const stored = await tx.createQueryBuilder(IssueView, 'issue').whereInIds(ids).getMany();
    const rows = new Map<string, Row>(stored.map((row) => [row.id, fromStored(row)]));
    for (const event of own) {
      const id = event.data.issueId!;
      const before = rows.get(id);
      const state = fold(issue, [event], before ? stateOf(before) : issue.initial);
      if (state.kind === 'unknown') continue;
      rows.set(id, rowOf(id, state, event, before));
    }
    await saveIssues(tx, [...rows.values()]);
    await saveComments(
      tx,
      own.filter((event) => event.is('issue.commented')),
    );
  }
}

function rowOf(id: string, state: Extract<Issue, { kind: 'tracked' }>, event: RecordedEvent, before?: Row): Row {
  const { fields, orgId, dedupeKey } = state;
  const { timestamp, actor } = event.metadata;
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
    comments: (before?.comments ?? 0) + (event.is('issue.commented') ? 1 : 0),
    revision: String(event.revision),
    createdBy: before?.createdBy ?? actor,
    createdAt: before?.createdAt ?? timestamp,
    updatedAt: timestamp,
  };
}

const fromStored = (row: IssueView): Row => ({
  ...row,
  createdAt: row.createdAt.toISOString(),
  updatedAt: row.updatedAt.toISOString(),
});

function stateOf({ orgId, title, body, status, priority, labels, assignee, team, dedupeKey }: Row): Issue {
  const fields: IssueFields = {
    title,
    status,
    labels,
    ...(body !== null && { body }),
    ...(priority !== null && { priority }),
    ...(assignee !== null && { assignee }),
    ...(team !== null && { team }),
  };
  return { kind: 'tracked', orgId, fields, ...(dedupeKey !== null && { dedupeKey }) };
}

async function saveIssues(tx: EntityManager, rows: readonly Row[]): Promise<void> {
  await tx.query(
    `insert into views.issues (id, org_id, title, body, status, priority, labels, assignee, team, dedupe_key, comments,
                               revision, created_by, created_at, updated_at)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::json[], $8::text[],
                          $9::text[], $10::text[], $11::int[], $12::bigint[], $13::text[], $14::timestamptz[],
                          $15::timestamptz[])
     on conflict (id) do update set title = excluded.title, body = excluded.body, status = excluded.status,
       priority = excluded.priority, labels = excluded.labels, assignee = excluded.assignee, team = excluded.team,
       comments = excluded.comments, revision = excluded.revision, updated_at = excluded.updated_at`,
    [
      rows.map(({ id }) => id),
      rows.map(({ orgId }) => orgId),
      rows.map(({ title }) => storable(title)),
      rows.map(({ body }) => orNull(body)),
      rows.map(({ status }) => status),
      rows.map(({ priority }) => orNull(priority)),
      rows.map(({ labels }) => JSON.stringify(labels)),
      rows.map(({ assignee }) => orNull(assignee)),
      rows.map(({ team }) => orNull(team)),
      rows.map(({ dedupeKey }) => orNull(dedupeKey)),
      rows.map(({ comments }) => comments),
      rows.map(({ revision }) => revision),
      rows.map(({ createdBy }) => createdBy),
      rows.map(({ createdAt }) => createdAt),
      rows.map(({ updatedAt }) => updatedAt),
    ],
  );
}

async function saveComments(tx: EntityManager, events: readonly RecordedEvent<'issue.commented'>[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `insert into views.issue_comments (id, issue_id, org_id, position, body, created_by, created_at)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
     on conflict do nothing`,
    [
      events.map(({ data }) => data.commentId),
      events.map(({ data }) => data.issueId),
      events.map(({ metadata }) => metadata.orgId),
      events.map(({ position }) => String(position)),
      events.map(({ data }) => storable(data.body)),
      events.map(({ metadata }) => metadata.actor),
      events.map(({ metadata }) => metadata.timestamp),
    ],
  );
}

const orNull = (text: string | null): string | null => (text === null ? null : storable(text));
