import { Type } from '@sinclair/typebox';

import { keyText } from '#libs/kernel/src/json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import type { ReferenceKind } from '#libs/vocabulary/src/vocabulary.js';

import { Detached, mayPass, requestedBy, requestStep } from './request-step.js';

const text = (description: string, refersTo?: ReferenceKind) =>
  Type.Optional(Type.String({ minLength: 1, description, ...(refersTo && { refersTo }) }));

/** An issue, or a comment on an existing one. */
export const createIssueStep = requestStep({
  name: 'create_issue',
  description:
    'Opens an issue and waits for it; with `dedupeKey` at most one open issue for each value of it. With `issue`, comments on an existing one, labels it or closes it.',
  inputSchema: Type.Object(
    {
      title: Type.String({ minLength: 1, description: 'In one line.' }),
      body: text('Markdown.'),
      priority: text('Such as `high`.'),
      labels: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description: 'A list of labels.' })),
      assignee: text('Who works on it.'),
      dedupeKey: Type.Optional(
        Type.Union([Type.String({ minLength: 1 }), Type.Number()], {
          description: 'While an issue with this key is open, a comment is added to it instead of a new issue.',
          expected: 'a string or a number',
        }),
      ),
      tracker: text('Id or name of an integration of GitHub or GitLab. Default: the built-in tracker.', 'tracker'),
      issue: Type.Optional(
        Type.Union([Type.String({ minLength: 1 }), Type.Integer()], {
          description:
            'Number or id of an existing issue: `body`, or else `title`, is added to it as a comment, and so are the labels. No issue is opened.',
          expected: 'a string or a whole number',
        }),
      ),
      close: Type.Optional(Type.Boolean({ description: '`true`: close `issue`.' })),
      detached: Detached,
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    issueId: Type.String(),
    created: Type.Boolean(),
    issue: Type.Optional(Type.Unknown()),
    commentId: Type.Optional(Type.String()),
    requestId: Type.Optional(Type.String()),
  }),
  request: 'issue.requested',
  requestData({ title, labels, dedupeKey, issue, close, ...rest }, decision) {
    const texts = Object.entries(rest).filter(([key, value]) => key !== 'detached' && typeof value === 'string');
    return {
      ...requestedBy(decision),
      title: String(title),
      ...(Object.fromEntries(texts) as { body?: string }),
      ...(Array.isArray(labels) && { labels: labels.map(String) }),
      ...(dedupeKey !== undefined && dedupeKey !== null && { dedupeKey: keyText(dedupeKey) }),
      ...(issue !== undefined && { issue: keyText(issue), ...(close === true && { close }) }),
    };
  },
  outcomes: [
    'issue.created',
    'issue.commented',
    'tracker.issue_opened',
    'tracker.issue_commented',
    'tracker.failed',
    'action.refused',
  ],

  output(outcome) {
    if (outcome.type === 'action.refused')
      throw new StepError({
        code: 'issue.refused',
        type: 'configuration',
        message: outcome.data.detail,
        retryable: false,
        output: { refused: outcome.data.reason },
      });
    if (outcome.type === 'tracker.failed') {
      const { code, message } = outcome.data.error;
      throw new StepError({ code, message, retryable: mayPass(code) });
    }
    if (outcome.type === 'tracker.issue_opened' || outcome.type === 'tracker.issue_commented') {
      const { issue } = outcome.data;
      const created = outcome.type === 'tracker.issue_opened';
      return {
        issueId: issue.id,
        created,
        issue,
        ...('commentId' in outcome.data && { commentId: outcome.data.commentId }),
      };
    }
    if (outcome.type === 'issue.commented') {
      const { issueId, commentId } = outcome.data;
      return { issueId, created: false, commentId };
    }
    const { issueId, issue } = outcome.data;
    return { issueId, created: true, issue };
  },
});
