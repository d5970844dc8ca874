import {
  booleanOf,
  type Fields,
  fieldsOf,
  idOf,
  integerOf,
  type Json,
  type JsonObject,
  known,
  listOf,
  textOf,
} from '#libs/plugin-sdk/src/fields.js';

/** GitLab's objects in neutral words, the same as GitHub's. Each is `undefined` where what makes it up is missing. */

/** `2013-12-03 17:23:34 UTC`, as older events have it, and RFC 3339, as RFC 3339. */
export function timeOf(value: Json | undefined): string | undefined {
  const text = textOf(value);
  const [, date, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(text ?? '') ?? [];
  return date === undefined ? text : `${date}T${time}Z`;
}

/** Names that GitLab gives to the users of project and group access tokens. */
const TOKEN_USER = /^(?:project|group)_\d+_bot(?:_?[0-9a-f]+)?$/;

export function authorOf(value: Json | undefined): JsonObject | undefined {
  const user = fieldsOf(value);
  const email = textOf(user['email']);
  const username = textOf(user['username']);
  const author = known({
    id: idOf(user['id']),
    username,
    name: textOf(user['name']),
    // What GitLab writes where the address is not public.
    email: email === '[REDACTED]' ? undefined : email,
    url: textOf(user['web_url']),
    bot: username !== undefined && TOKEN_USER.test(username) ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}

/** Pushes have who pushed in fields of their own. */
export const pusherOf = (payload: Fields): JsonObject | undefined =>
  authorOf({
    id: payload['user_id'] ?? null,
    username: payload['user_username'] ?? null,
    name: payload['user_name'] ?? null,
    email: payload['user_email'] ?? null,
  });

export function repositoryOf(value: Json | undefined) {
  const project = fieldsOf(value);
  const fullName = textOf(project['path_with_namespace']);
  if (fullName === undefined) return undefined;
  const visibility = integerOf(project['visibility_level']);
  return {
    ...known({
      id: idOf(project['id']),
      // `name` is a title for people; the path is what GitHub calls the name.
      name: fullName.slice(fullName.lastIndexOf('/') + 1),
      url: textOf(project['web_url']),
      defaultBranch: textOf(project['default_branch']),
      private: visibility === undefined ? undefined : visibility < PUBLIC,
    }),
    fullName,
  };
}
/** 0 is private, 10 internal. */
const PUBLIC = 20;

/** Titles of the first of these lists that was sent; `undefined` where none was. */
function labelsOf(...values: readonly (Json | undefined)[]): readonly string[] | undefined {
  const labels = values.find(Array.isArray);
  return labels && listOf(labels).flatMap((label) => textOf(fieldsOf(label)['title']) ?? []);
}

/** Usernames. Events have those of the issue that changed; a comment on an issue tells how many there are, not who. */
function assigneesOf(issue: Fields, payload: Fields): readonly string[] | undefined {
  if (Array.isArray(payload['assignees']))
    return listOf(payload['assignees'] as Json).flatMap((user) => textOf(fieldsOf(user)['username']) ?? []);
  const ids = issue['assignee_ids'];
  return Array.isArray(ids) && ids.length === 0 ? [] : undefined;
}

/** Who made it is an id alone, unless it is the one who did this. */
function madeBy(object: Fields, payload: Fields): JsonObject | undefined {
  const id = idOf(object['author_id']);
  const user = authorOf(payload['user']);
  return id === undefined ? undefined : user?.['id'] === id ? user : { id };
}

/** What an action says about the thing, where the thing itself does not say it. */
const STATE_AFTER: Readonly<Record<string, string>> = {
  open: 'open',
  reopen: 'open',
  close: 'closed',
  merge: 'merged',
};
const stateAfter = (action = ''): string | undefined =>
  Object.hasOwn(STATE_AFTER, action) ? STATE_AFTER[action] : undefined;
/** `locked` while it is being merged, `reopened` in earlier versions. */
const MERGE_STATES: Readonly<Record<string, string>> = {
  opened: 'open',
  reopened: 'open',
  locked: 'open',
  closed: 'closed',
  merged: 'merged',
};

/** @param action of an event about the merge request itself. */
export function mergeRequestOf(value: Json | undefined, payload: Fields, action?: string) {
  const merge = fieldsOf(value);
  const number = integerOf(merge['iid']);
  if (number === undefined) return undefined;
  const sent = textOf(merge['state']) ?? '';
  const state = Object.hasOwn(MERGE_STATES, sent) ? MERGE_STATES[sent] : stateAfter(action);
  return {
    ...known({
      id: idOf(merge['id']),
      title: textOf(merge['title']) ?? '',
      body: textOf(merge['description']),
      url: textOf(merge['url']),
      draft: booleanOf(merge['draft']) ?? booleanOf(merge['work_in_progress']),
      sourceBranch: textOf(merge['source_branch']),
      targetBranch: textOf(merge['target_branch']),
      headCommit: textOf(fieldsOf(merge['last_commit'])['id']),
      mergeCommit: state === 'merged' ? textOf(merge['merge_commit_sha']) : undefined,
      labels: labelsOf(merge['labels'], payload['labels']),
      author: madeBy(merge, payload),
      state,
    }),
    number,
  };
}

/** @param action of an event about the issue itself. */
export function issueOf(value: Json | undefined, payload: Fields, action?: string) {
  const issue = fieldsOf(value);
  const number = integerOf(issue['iid']);
  if (number === undefined) return undefined;
  const state = textOf(issue['state']);
  return {
    ...known({
      id: idOf(issue['id']),
      title: textOf(issue['title']) ?? '',
      body: textOf(issue['description']),
      url: textOf(issue['url']),
      state: state === undefined ? stateAfter(action) : state === 'opened' || state === 'reopened' ? 'open' : state,
      labels: labelsOf(issue['labels'], payload['labels']),
      assignees: assigneesOf(issue, payload),
      author: madeBy(issue, payload),
    }),
    number,
  };
}

export function commentOf(value: Json | undefined, payload: Fields, on: 'issue' | 'pull_request' | 'commit') {
  const note = fieldsOf(value);
  if (typeof note['note'] !== 'string') return undefined;
  const position = fieldsOf(note['position']);
  return known({
    id: idOf(note['id']),
    body: note['note'],
    url: textOf(note['url']),
    on,
    path: textOf(position['new_path']) ?? textOf(position['old_path']),
    line: integerOf(position['new_line']) ?? integerOf(position['old_line']),
    commit: textOf(note['commit_id']),
    author: authorOf(payload['user']),
  });
}

export function releaseOf(payload: Fields) {
  const tag = textOf(payload['tag']);
  if (tag === undefined) return undefined;
  return {
    ...known({
      id: idOf(payload['id']),
      name: textOf(payload['name']),
      body: textOf(payload['description']),
      url: textOf(payload['url']),
    }),
    tag,
  };
}

/** What a pipeline can end as; in any other state it has not ended. */
const ENDED: Readonly<Record<string, string>> = {
  success: 'success',
  failed: 'failure',
  canceled: 'cancelled',
  skipped: 'skipped',
};

export function pipelineOf(value: Json | undefined, projectUrl: string | undefined) {
  const pipeline = fieldsOf(value);
  const status = textOf(pipeline['status']) ?? '';
  if (!Object.hasOwn(ENDED, status)) return undefined;
  const id = idOf(pipeline['id']);
  const page = projectUrl === undefined || id === undefined ? undefined : `${projectUrl}/-/pipelines/${id}`;
  return known({
    id,
    name: textOf(pipeline['name']) ?? 'pipeline',
    status: ENDED[status],
    url: textOf(pipeline['url']) ?? page,
    branch: pipeline['tag'] === true ? undefined : textOf(pipeline['ref']),
    commit: textOf(pipeline['sha']),
  });
}
