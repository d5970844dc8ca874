import { type Decide, slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { IssueStatus } from '#libs/events/src/shapes/issue-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

/** What people write into an issue. Absent where nobody did. */
export interface IssueFields {
  readonly title: string;
  readonly body?: string;
  readonly status: IssueStatus;
  readonly priority?: string;
  readonly labels: string[];
  readonly assignee?: string;
  readonly team?: string;
}

/** Changes to some of the fields; `null` takes one away. */
export type IssueChanges = { readonly [K in keyof IssueFields]?: IssueFields[K] | null };

/**
 * An issue of the built-in tracker: `unknown` until it is opened, then in one of the four statuses, each of which can
 * follow each other one. It is never deleted.
 */
export type Issue =
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'tracked';
      readonly orgId: string;
      readonly fields: IssueFields;
      readonly dedupeKey?: string;
      readonly comments: number;
    };

export type IssueEventType = 'issue.created' | 'issue.updated' | 'issue.status_changed' | 'issue.commented';

export const issue = slice<Issue>()({
  name: 'issue',
  stream: streams.issue,
  initial: { kind: 'unknown' },
  evolve: {
    'issue.created': (_, data, { metadata }) => ({
      kind: 'tracked',
      orgId: metadata.orgId,
      fields: fieldsOf(data.issue),
      comments: 0,
      ...(data.dedupeKey !== undefined && { dedupeKey: data.dedupeKey }),
    }),
    'issue.updated': (state, data) => (state.kind === 'unknown' ? state : { ...state, fields: fieldsOf(data.issue) }),
    'issue.status_changed': (state, data) =>
      state.kind === 'unknown' ? state : { ...state, fields: fieldsOf(data.issue) },
    'issue.commented': (state) => (state.kind === 'unknown' ? state : { ...state, comments: state.comments + 1 }),
  },
});

/** Whether a dedupe key is held: later requests with it add a comment. */
export const isOpen = (status: string | undefined): boolean => status === 'open' || status === 'in_progress';

const MAX_TITLE = 500;

/** The event of a new issue. */
export function created(
  id: string,
  fields: IssueFields,
  more: Pick<DataOf<'issue.created'>, 'requestedBy' | 'dedupeKey'> = {},
): DataOf<'issue.created'> {
  const title = fields.title.length > MAX_TITLE ? `${fields.title.slice(0, MAX_TITLE - 1)}…` : fields.title;
  return { ...about(id, { ...fields, title }), ...more };
}

type Decision<C> = Decide<Issue, IssueEventType, C>;

/** Opening the same issue again has no effect: the request was sent twice. */
export const open: Decision<OpenIssue> = (state, { id, fields }) => {
  if (state.kind === 'unknown') return [{ type: 'issue.created', data: created(id, fields) }];
  if (canonicalJson(state.fields) === canonicalJson(fields)) return [];
  throw new Rejected('conflict', 'issue.exists', `There is already another issue ${id}: change it with PATCH.`);
};

/** A change of the status and a change of the rest are two facts. What changes nothing is none. */
export const update: Decision<UpdateIssue> = (state, { id, author, changes }) => {
  const { fields: before, dedupeKey } = known(state, id, author.orgId);
  const key = dedupeKey === undefined ? {} : { dedupeKey };
  const { status, ...rest } = changes;
  const changed = Object.keys(rest).filter(
    (key) =>
      canonicalJson(rest[key as keyof typeof rest] ?? null) !== canonicalJson(before[key as keyof IssueFields] ?? null),
  );
  const fields = merged(before, rest);
  const to = status ?? before.status;
  return [
    ...(changed.length === 0
      ? []
      : [{ type: 'issue.updated' as const, data: { ...about(id, fields), changed, ...key } }]),
    ...(to === before.status
      ? []
      : [
          {
            type: 'issue.status_changed' as const,
            data: { ...about(id, { ...fields, status: to }), from: before.status, to, ...key },
          },
        ]),
  ];
};

export const comment: Decision<CommentOnIssue> = (state, { id, author, commentId, body }) => {
  const { fields } = known(state, id, author.orgId);
  return [{ type: 'issue.commented', data: { ...flat(id, fields), commentId, body } }];
};

/** An issue of another organisation is as unknown as one that never was. */
function known(state: Issue, id: string, orgId: string): Extract<Issue, { kind: 'tracked' }> {
  if (state.kind === 'tracked' && state.orgId === orgId) return state;
  throw notFound(id);
}

export const notFound = (id: string): Rejected =>
  new Rejected('not_found', 'issue.not_found', `There is no issue ${id}. GET /api/v1/issues lists the existing ones.`);

function merged(before: IssueFields, changes: IssueChanges): IssueFields {
  const entries = Object.entries({ ...before, ...changes }).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  return Object.fromEntries(entries) as unknown as IssueFields;
}

/** The issue as code hosts' events have it, and beside it the flat fields that conditions and receivers of others expect. */
const about = (id: string, fields: IssueFields) => ({ ...flat(id, fields), issue: neutral(id, fields) });

/** The fields that each event of an issue has. */
export function flat(id: string, fields: IssueFields) {
  const { title, status, priority, team, assignee } = fields;
  return {
    issueId: id,
    title,
    status,
    ...(priority !== undefined && { priority }),
    ...(team !== undefined && { teamId: team }),
    ...(assignee !== undefined && { assigneeId: assignee }),
  };
}

/** The issue in the words that code hosts' issues have too. */
function neutral(id: string, { title, body, status, priority, labels, assignee, team }: IssueFields) {
  return {
    id,
    title,
    ...(body !== undefined && { body }),
    state: status,
    status,
    ...(priority !== undefined && { priority }),
    labels: [...labels],
    assignees: assignee === undefined ? [] : [assignee],
    ...(assignee !== undefined && { assignee }),
    ...(team !== undefined && { team }),
  };
}

function fieldsOf(data: DataOf<'issue.created'>['issue']): IssueFields {
  const { title, body, status, priority, labels, assignee, team } = data;
  return {
    title,
    ...(body !== undefined && { body }),
    status: status ?? 'open',
    ...(priority !== undefined && { priority }),
    labels: labels ?? [],
    ...(assignee !== undefined && { assignee }),
    ...(team !== undefined && { team }),
  };
}

export class OpenIssue extends ThingCommand<Issue> {
  constructor(
    id: string,
    author: Author,
    readonly fields: IssueFields,
  ) {
    super(id, author);
  }
}

export class UpdateIssue extends ThingCommand<Issue> {
  constructor(
    id: string,
    author: Author,
    readonly changes: IssueChanges,
  ) {
    super(id, author);
  }
}

export class CommentOnIssue extends ThingCommand<Issue> {
  constructor(
    id: string,
    author: Author,
    readonly commentId: string,
    readonly body: string,
  ) {
    super(id, author);
  }
}
