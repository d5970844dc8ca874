import {
  booleanOf,
  fieldsOf,
  idOf,
  integerOf,
  type Json,
  type JsonObject,
  known,
  listOf,
  textOf,
} from '#libs/plugin-sdk/src/fields.js';

/** GitHub's objects in neutral words. Each is `undefined` where what makes it up is missing. */

export function authorOf(value: Json | undefined): JsonObject | undefined {
  const user = fieldsOf(value);
  // Commits name people by `username`, everything else by `login`.
  const username = textOf(user['login']) ?? textOf(user['username']);
  const author = known({
    id: idOf(user['id']),
    username,
    name: textOf(user['name']),
    email: textOf(user['email']),
    url: textOf(user['html_url']),
    // Commits have no `type`; nobody but an app has a login that ends so.
    bot: user['type'] === 'Bot' || username?.endsWith('[bot]') ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}

export function repositoryOf(value: Json | undefined) {
  const repository = fieldsOf(value);
  const fullName = textOf(repository['full_name']);
  if (fullName === undefined) return undefined;
  return {
    ...known({
      id: idOf(repository['id']),
      name: textOf(repository['name']) ?? fullName.slice(fullName.lastIndexOf('/') + 1),
      url: textOf(repository['html_url']),
      defaultBranch: textOf(repository['default_branch']),
      private: booleanOf(repository['private']),
    }),
    fullName,
  };
}

/** The names of a list of objects; `undefined` where the list was not sent. */
const namesOf = (value: Json | undefined, field: string): readonly string[] | undefined =>
  Array.isArray(value) ? listOf(value as Json).flatMap((one) => textOf(fieldsOf(one)[field]) ?? []) : undefined;

/** What an action says about the thing, where the thing itself does not say it. */
const STATE_AFTER: Readonly<Record<string, string>> = { opened: 'open', reopened: 'open', closed: 'closed' };
const stateAfter = (action = ''): string | undefined =>
  Object.hasOwn(STATE_AFTER, action) ? STATE_AFTER[action] : undefined;

/** `undefined` where it was not sent, or is none of those that pull requests have. */
export const pullState = (state: Json | undefined): string | undefined =>
  state === 'open' || state === 'closed' ? state : undefined;

/** @param action of an event about the pull request itself. */
export function pullRequestOf(value: Json | undefined, action?: string) {
  const pull = fieldsOf(value);
  const number = integerOf(pull['number']);
  if (number === undefined) return undefined;
  const merged = pull['merged'] === true || textOf(pull['merged_at']) !== undefined;
  return {
    ...known({
      id: idOf(pull['id']),
      title: textOf(pull['title']) ?? '',
      body: textOf(pull['body']),
      url: textOf(pull['html_url']),
      draft: booleanOf(pull['draft']),
      sourceBranch: textOf(fieldsOf(pull['head'])['ref']),
      targetBranch: textOf(fieldsOf(pull['base'])['ref']),
      headCommit: textOf(fieldsOf(pull['head'])['sha']),
      // Before the merge this is a trial merge that exists in no branch.
      mergeCommit: merged ? textOf(pull['merge_commit_sha']) : undefined,
      labels: namesOf(pull['labels'], 'name'),
      author: authorOf(pull['user']),
      state: merged ? 'merged' : (pullState(pull['state']) ?? stateAfter(action)),
    }),
    number,
  };
}

/** @param action of an event about the issue itself. */
export function issueOf(value: Json | undefined, action?: string) {
  const issue = fieldsOf(value);
  const number = integerOf(issue['number']);
  if (number === undefined) return undefined;
  return {
    ...known({
      id: idOf(issue['id']),
      title: textOf(issue['title']) ?? '',
      body: textOf(issue['body']),
      url: textOf(issue['html_url']),
      state: textOf(issue['state']) ?? stateAfter(action),
      labels: namesOf(issue['labels'], 'name'),
      assignees: namesOf(issue['assignees'], 'login'),
      author: authorOf(issue['user']),
    }),
    number,
  };
}

export function commentOf(value: Json | undefined, on: 'issue' | 'pull_request' | 'commit') {
  const comment = fieldsOf(value);
  if (typeof comment['body'] !== 'string') return undefined;
  return known({
    id: idOf(comment['id']),
    body: comment['body'],
    url: textOf(comment['html_url']),
    on,
    path: textOf(comment['path']),
    line: integerOf(comment['line']),
    commit: textOf(comment['commit_id']),
    author: authorOf(comment['user']),
  });
}

const REVIEW_STATES: ReadonlySet<string> = new Set(['approved', 'changes_requested', 'commented', 'dismissed']);

export function reviewOf(value: Json | undefined) {
  const review = fieldsOf(value);
  // Lower case in webhooks, upper case in answers of the API.
  const state = textOf(review['state'])?.toLowerCase();
  if (state === undefined || !REVIEW_STATES.has(state)) return undefined;
  return known({
    id: idOf(review['id']),
    state,
    body: textOf(review['body']),
    url: textOf(review['html_url']),
    author: authorOf(review['user']),
  });
}

export function releaseOf(value: Json | undefined) {
  const release = fieldsOf(value);
  const tag = textOf(release['tag_name']);
  if (tag === undefined) return undefined;
  return {
    ...known({
      id: idOf(release['id']),
      name: textOf(release['name']),
      body: textOf(release['body']),
      url: textOf(release['html_url']),
      draft: booleanOf(release['draft']),
      prerelease: booleanOf(release['prerelease']),
      author: authorOf(release['author']),
    }),
    tag,
  };
}

const STATUSES: Readonly<Record<string, string>> = {
  success: 'success',
  failure: 'failure',
  // The workflow file is invalid.
  startup_failure: 'failure',
  cancelled: 'cancelled',
  skipped: 'skipped',
  timed_out: 'timed_out',
  action_required: 'action_required',
};

/** A workflow run, which may leave its name to its workflow, or a check suite, which has no name but that of its app. */
export function pipelineOf(value: Json | undefined, workflow: Json | undefined) {
  const run = fieldsOf(value);
  const conclusion = textOf(run['conclusion']);
  if (conclusion === undefined) return undefined;
  return known({
    id: idOf(run['id']),
    name:
      textOf(run['name']) ?? textOf(fieldsOf(workflow)['name']) ?? textOf(fieldsOf(run['app'])['name']) ?? 'pipeline',
    status: Object.hasOwn(STATUSES, conclusion) ? STATUSES[conclusion] : 'other',
    url: textOf(run['html_url']),
    branch: textOf(run['head_branch']),
    commit: textOf(run['head_sha']),
  });
}
