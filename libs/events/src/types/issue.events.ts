import { Type } from '@sinclair/typebox';

import { RequestedBy } from './actions/requested-by.js';
import { defineEvent } from '../define-event.js';
import { Author, Inbound, Issue, Repository } from '../neutral.js';
import { IssueStatus } from '../shapes/issue-shape.js';

export const IssuePriority = Type.Union([
  Type.Literal('low'),
  Type.Literal('medium'),
  Type.Literal('high'),
  Type.Literal('critical'),
]);

/**
 * An issue as code hosts tell it, and as the built-in tracker does (which has an `iss_…` id, no number, and a status
 * that is also its `state`), so that one rule serves both.
 */
const AnyIssue = Type.Object({
  ...Issue.properties,
  number: Type.Optional(Issue.properties.number),
  status: Type.Optional(IssueStatus),
  priority: Type.Optional(Type.String()),
  assignee: Type.Optional(Type.String()),
  team: Type.Optional(Type.String()),
});

const about = {
  ...Inbound,
  repository: Type.Optional(Repository),
  author: Type.Optional(Author),
  issue: AnyIssue,
  issueId: Type.Optional(Type.String({ description: '`iss_…`; like the flat fields, of the built-in tracker alone' })),
  title: Type.Optional(Type.String()),
  status: Type.Optional(IssueStatus),
  priority: Type.Optional(Type.String()),
  teamId: Type.Optional(Type.String({ description: 'team' })),
  assigneeId: Type.Optional(Type.String({ description: 'assignee' })),
  /** At most one open issue of the built-in tracker has it. */
  dedupeKey: Type.Optional(Type.String()),
};

const issueId = 'iss_01jq5x1d0wkz4s3v2n8m7b6c5a';
const issue = {
  id: issueId,
  title: 'DB latency > 500ms',
  state: 'open',
  status: 'open' as const,
  priority: 'high',
  labels: ['db'],
  assignees: [],
};
const { title, status, priority } = issue;
const flat = { issueId, title, status, priority };
const requestedBy = {
  kind: 'rule' as const,
  ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a',
  ruleVersion: 1,
  index: 0,
};

/** Issues: those of the built-in tracker, and those that code hosts tell about. */
export const issueEvents = {
  'issue.created': defineEvent({
    description: 'An issue was opened, here or at a code host.',
    data: Type.Object({
      ...about,
      requestedBy: Type.Optional(RequestedBy),
    }),
    example: { ...flat, issue, requestedBy, dedupeKey: 'db-latency' },
  }),
  'issue.updated': defineEvent({
    description: 'An issue changed: title, text, priority, labels, assignee or team. It has the issue as it is now.',
    data: Type.Object({
      ...about,
      /** Names of the fields that changed, where they are known. */
      changed: Type.Optional(Type.Array(Type.String())),
    }),
    example: { ...flat, priority: 'critical', issue: { ...issue, priority: 'critical' }, changed: ['priority'] },
  }),
  'issue.status_changed': defineEvent({
    description: 'The status of an issue changed. It has the issue as it is now.',
    data: Type.Object({
      ...about,
      from: Type.Optional(Type.String()),
      to: Type.Optional(Type.String()),
    }),
    example: {
      ...flat,
      status: 'resolved' as const,
      issue: { ...issue, state: 'resolved', status: 'resolved' as const },
      from: 'open',
      to: 'resolved',
    },
  }),
  'issue.commented': defineEvent({
    description:
      'A comment was added to an issue of the built-in tracker, by a person, or instead of a second issue with the same dedupeKey.',
    data: Type.Object({
      issueId: Type.String(),
      title: about.title,
      status: about.status,
      priority: about.priority,
      teamId: about.teamId,
      assigneeId: about.assigneeId,
      commentId: Type.String(),
      body: Type.String(),
      requestedBy: Type.Optional(RequestedBy),
    }),
    example: {
      ...flat,
      commentId: '6f0d8a57-3a2e-5b4c-9d3e-7f8091a2b3c4',
      body: 'Again: DB latency > 500ms',
      requestedBy,
    },
  }),
} as const;
