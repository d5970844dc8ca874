import { type Static, Type } from '@sinclair/typebox';

import { nullable } from './fields.js';

/** The status of an issue of the built-in tracker. `open` and `in_progress` count as open for a dedupe key. */
export const IssueStatus = Type.Union([
  Type.Literal('open'),
  Type.Literal('in_progress'),
  Type.Literal('resolved'),
  Type.Literal('closed'),
]);
export type IssueStatus = Static<typeof IssueStatus>;

const time = Type.String({ format: 'date-time' });
const createdBy = Type.String({ examples: ['rule/rul_01jq5x1d0wkz4s3v2n8m7b6c5a'] });

/** An issue as it is answered. */
export const IssueAnswer = Type.Object(
  {
    id: Type.String({ examples: ['iss_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    title: Type.String(),
    body: nullable(Type.String()),
    status: IssueStatus,
    priority: nullable(Type.String()),
    labels: Type.Array(Type.String()),
    assignee: nullable(Type.String()),
    team: nullable(Type.String()),
    dedupeKey: nullable(
      Type.String({ description: 'Later requests with the same key add a comment while the issue is open.' }),
    ),
    comments: Type.Integer({ minimum: 0, description: 'Number of comments.' }),
    createdBy,
    createdAt: time,
    updatedAt: time,
  },
  { $id: 'IssueAnswer' },
);
export type IssueAnswer = Static<typeof IssueAnswer>;

/** A comment as it is answered. */
export const CommentAnswer = Type.Object(
  { id: Type.String(), body: Type.String({ description: 'Markdown.' }), createdBy, createdAt: time },
  { $id: 'CommentAnswer' },
);
export type CommentAnswer = Static<typeof CommentAnswer>;

/** The comment on the open issue that has the dedupe key of a request. */
export const againText = ({ title, body }: { readonly title: string; readonly body?: string | undefined }): string =>
  body === undefined ? `Again: ${title}` : `Again: ${title}\n\n${body}`;
