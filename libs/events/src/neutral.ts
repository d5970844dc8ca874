import { type TObject, Type } from '@sinclair/typebox';

/**
 * What code hosts and chats have in common, under one name each: a rule that reads `data.repository.fullName` or
 * `data.branch` works for GitHub and GitLab alike. What is not here is in `data.payload`, as the sender wrote it.
 *
 * Ids are strings, since some senders use numbers, some text. A field that the sender left out is absent, never null.
 */
const text = (description: string) => Type.String({ description });
const optional = (description: string) => Type.Optional(Type.String({ description }));

/** On every event that came in through an integration; absent when the event was published through the API. */
export const Inbound = {
  provider: optional('name of the provider that understood the request, such as `github`'),
  eventType: optional("the sender's name for the event, such as `pull_request`"),
  action: optional("the sender's name for the action, such as `opened`"),
  deliveryId: optional("the sender's id of the delivery; each id is recorded once"),
  sourceIp: optional('address that sent it, as seen through trusted proxies'),
  payload: Type.Optional(Type.Unknown({ description: 'the body as sent' })),
  truncated: Type.Optional(
    Type.Boolean({
      description:
        "true if the neutral fields are incomplete: the sender listed only a part, or they were cut to fit the log's limit",
    }),
  ),
};

/** A person or program that did something. */
export const Author = Type.Object(
  {
    id: optional("the sender's id"),
    username: optional('login or handle'),
    name: optional('as displayed'),
    email: optional('where the sender gives one'),
    url: optional('page of the account'),
    bot: Type.Optional(
      Type.Boolean({ description: 'true where a program did it; absent where the sender does not say' }),
    ),
  },
  { description: 'who did it' },
);

/** `fullName` is what people write: `acme/app`. */
export const Repository = Type.Object(
  {
    id: optional("the sender's id"),
    name: text('last part of the full name: `app`'),
    fullName: text('owner or groups, and name: `acme/app`'),
    url: optional('page of the repository'),
    defaultBranch: optional('such as `main`'),
    private: Type.Optional(Type.Boolean()),
  },
  { description: 'where it happened' },
);

export const Commit = Type.Object({
  id: text('SHA-1 or SHA-256, hex'),
  message: text('the whole message'),
  author: Type.Optional(Author),
  url: optional('page of the commit'),
  timestamp: optional('RFC 3339'),
  added: Type.Optional(Type.Array(Type.String(), { description: 'paths; absent where they are not known' })),
  modified: Type.Optional(Type.Array(Type.String(), { description: 'paths; absent where they are not known' })),
  removed: Type.Optional(Type.Array(Type.String(), { description: 'paths; absent where they are not known' })),
});

/** GitLab calls it a merge request; its `number` is the iid. */
export const PullRequest = Type.Object({
  id: optional("the sender's id"),
  number: Type.Integer({ description: 'as displayed, without # or !' }),
  title: text('one line'),
  body: optional('description, Markdown'),
  url: optional('page of the pull request'),
  state: Type.Optional(
    Type.Union([Type.Literal('open'), Type.Literal('closed'), Type.Literal('merged')], {
      description: 'absent where the sender does not say',
    }),
  ),
  draft: Type.Optional(Type.Boolean()),
  sourceBranch: optional('source branch'),
  targetBranch: optional('target branch'),
  headCommit: optional('newest commit of the source branch'),
  mergeCommit: optional('commit that merged it'),
  labels: Type.Optional(Type.Array(Type.String(), { description: 'absent where the sender does not say' })),
  author: Type.Optional(Author),
});

/** An issue at a code host or tracker outside. */
export const Issue = Type.Object({
  id: optional("the tracker's id"),
  number: Type.Integer({ description: 'as displayed, without #' }),
  title: text('one line'),
  body: optional('description, Markdown'),
  url: optional('page of the issue'),
  state: optional("the tracker's own status, such as `open` or `closed`; absent where the sender does not say"),
  labels: Type.Optional(Type.Array(Type.String(), { description: 'absent where the sender does not say' })),
  assignees: Type.Optional(
    Type.Array(Type.String(), { description: 'usernames; absent where the sender does not say' }),
  ),
  author: Type.Optional(Author),
});

export const Comment = Type.Object({
  id: optional("the sender's id"),
  body: text('Markdown'),
  url: optional('page of the comment'),
  on: Type.Union([Type.Literal('issue'), Type.Literal('pull_request'), Type.Literal('commit')]),
  path: optional('file that a code comment is about'),
  line: Type.Optional(Type.Integer()),
  commit: optional('commit that a code comment is about'),
  author: Type.Optional(Author),
});

export const Review = Type.Object({
  id: optional("the sender's id"),
  state: Type.Union([
    Type.Literal('approved'),
    Type.Literal('changes_requested'),
    Type.Literal('commented'),
    Type.Literal('dismissed'),
  ]),
  body: optional('Markdown'),
  url: optional('page of the review'),
  author: Type.Optional(Author),
});

export const Release = Type.Object({
  id: optional("the sender's id"),
  tag: text('such as `v1.2.0`'),
  name: optional('title'),
  body: optional('notes, Markdown'),
  url: optional('page of the release'),
  draft: Type.Optional(Type.Boolean()),
  prerelease: Type.Optional(Type.Boolean()),
  author: Type.Optional(Author),
});

export const Pipeline = Type.Object({
  id: optional("the sender's id"),
  name: text('of the workflow, check suite or pipeline'),
  status: Type.Union(
    (['success', 'failure', 'cancelled', 'skipped', 'timed_out', 'action_required', 'other'] as const).map((name) =>
      Type.Literal(name),
    ),
  ),
  url: optional('page of the run'),
  branch: optional('branch it ran for'),
  commit: optional('commit it ran for'),
});

export const Channel = Type.Object({ id: text("the sender's id"), name: optional('as displayed') });

export const Message = Type.Object({
  id: optional("the sender's id"),
  text: text('plain, or in the markup of the sender'),
  threadId: optional('of the thread that it replies to'),
  edited: Type.Optional(
    Type.Boolean({ description: 'true if an existing message was changed; `text` is the new text' }),
  ),
  mentions: Type.Optional(
    Type.Array(Type.Object({ id: text("the sender's id"), name: optional('as displayed') }), {
      description: 'who is addressed in it',
    }),
  ),
  attachments: Type.Optional(
    Type.Array(
      Type.Object({
        id: optional("the sender's id"),
        name: optional('of the file'),
        contentType: optional('media type'),
        url: optional('download URL'),
      }),
      { description: 'attached files and cards' },
    ),
  ),
});

/** An object of neutral fields with the fields of {@link Inbound} beside them. */
export const inboundData = <Fields extends TObject['properties']>(fields: Fields) =>
  Type.Object({ ...Inbound, ...fields });
