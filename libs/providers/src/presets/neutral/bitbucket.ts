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
import type { NeutralEvent, NeutralInput } from '#libs/plugin-sdk/src/scheme/define-preset.js';

const PULL_REQUESTS: Readonly<Record<string, string>> = {
  'pullrequest:created': 'pr.opened',
  'pullrequest:updated': 'pr.updated',
  'pullrequest:fulfilled': 'pr.merged',
  'pullrequest:rejected': 'pr.closed',
};
const REVIEWS: Readonly<Record<string, readonly [state: string, part: string]>> = {
  'pullrequest:approved': ['approved', 'approval'],
  'pullrequest:changes_request_created': ['changes_requested', 'changes_request'],
};

/** Events of Bitbucket Cloud in the words of code hosts. A push may be of several branches and tags: each is an event. */
export function bitbucketEvent({ value, eventType }: NeutralInput): NeutralEvent | readonly NeutralEvent[] | undefined {
  const payload = fieldsOf(value);
  if (eventType === 'repo:push') return pushed(payload);
  if (eventType === 'repo:commit_comment_created') return commented(payload, 'commit');
  if (eventType === 'pullrequest:comment_created') return commented(payload, 'pull_request');
  const about = aboutPullRequest(payload);
  if (!about) return undefined;
  const timestamp = textOf(fieldsOf(payload['pullrequest'])['updated_on']);
  if (Object.hasOwn(PULL_REQUESTS, eventType)) return { type: PULL_REQUESTS[eventType]!, ...about, timestamp };
  if (!Object.hasOwn(REVIEWS, eventType)) return undefined;
  const [state, part] = REVIEWS[eventType]!;
  const given = fieldsOf(payload[part]);
  const review = known({ state, author: authorOf(given['user']) });
  return {
    type: 'pr.reviewed',
    subject: about.subject,
    timestamp: textOf(given['date']),
    data: { ...about.data, review },
  };
}

const pageOf = (value: Fields): string | undefined => textOf(fieldsOf(fieldsOf(value['links'])['html'])['href']);

function authorOf(value: Json | undefined): JsonObject | undefined {
  const user = fieldsOf(value);
  const author = known({
    id: textOf(user['account_id']) ?? textOf(user['uuid']),
    username: textOf(user['nickname']) ?? textOf(user['username']),
    name: textOf(user['display_name']),
    url: pageOf(user),
    bot: user['type'] === 'AppUser' || user['type'] === 'app_user' ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}

function repositoryOf(value: Json | undefined) {
  const repository = fieldsOf(value);
  const fullName = textOf(repository['full_name']);
  if (fullName === undefined) return undefined;
  return {
    ...known({
      id: textOf(repository['uuid']),
      // `name` is a title for people.
      name: fullName.slice(fullName.lastIndexOf('/') + 1),
      url: pageOf(repository),
      defaultBranch: textOf(fieldsOf(repository['mainbranch'])['name']),
      private: booleanOf(repository['is_private']),
    }),
    fullName,
  };
}

const NONE = '0'.repeat(40);
/** Null is a side that does not exist. */
const hashOf = (side: Json | undefined): string | undefined =>
  side === null ? NONE : textOf(fieldsOf(fieldsOf(side)['target'])['hash']);
const isNull = (side: Json | undefined): boolean | undefined => (side === undefined ? undefined : side === null);

function pushed(payload: Fields): readonly NeutralEvent[] | undefined {
  const repository = repositoryOf(payload['repository']);
  if (!repository) return undefined;
  const author = authorOf(payload['actor']);
  return listOf(fieldsOf(payload['push'])['changes']).flatMap((element): NeutralEvent[] => {
    const change = fieldsOf(element);
    const side = fieldsOf(change['new'] ?? change['old'] ?? undefined);
    const name = textOf(side['name']);
    if (name === undefined) return [];
    const deleted = isNull(change['new']);
    const shared = known({
      repository,
      before: hashOf(change['old']),
      after: hashOf(change['new']),
      created: booleanOf(change['created']) ?? isNull(change['old']),
      deleted,
      author,
    });
    const subject = `repository/${repository.fullName}`;
    const timestamp = deleted === true ? undefined : textOf(side['date']);
    if (side['type'] === 'tag')
      return [{ type: 'git.tag_pushed', subject, timestamp, data: { ...shared, ref: `refs/tags/${name}`, tag: name } }];
    if (side['type'] !== 'branch' && side['type'] !== 'named_branch') return [];
    const data = known({
      ...shared,
      ref: `refs/heads/${name}`,
      branch: name,
      forced: booleanOf(change['forced']),
      // The newest comes first; at most five are listed.
      commits: listOf(change['commits']).toReversed().flatMap(commitOf),
      truncated: change['truncated'] === true ? true : undefined,
    });
    return [{ type: 'git.push', subject, timestamp, data }];
  });
}

function commitOf(value: Json): JsonObject[] {
  const commit = fieldsOf(value);
  const id = textOf(commit['hash']);
  if (id === undefined) return [];
  const author = fieldsOf(commit['author']);
  const [, name, email] = /^(.*?)\s*<([^<>]+)>$/.exec(textOf(author['raw']) ?? '') ?? [];
  const person = known({ ...authorOf(author['user']), ...known({ name: name === '' ? undefined : name, email }) });
  return [
    known({
      id,
      message: typeof commit['message'] === 'string' ? commit['message'] : '',
      author: Object.keys(person).length === 0 ? undefined : person,
      url: pageOf(commit),
      timestamp: textOf(commit['date']),
    }),
  ];
}

const STATES: Readonly<Record<string, string>> = {
  OPEN: 'open',
  MERGED: 'merged',
  DECLINED: 'closed',
  SUPERSEDED: 'closed',
};

function aboutPullRequest(payload: Fields) {
  const repository = repositoryOf(payload['repository']);
  const pull = fieldsOf(payload['pullrequest']);
  const number = integerOf(pull['id']);
  const state = STATES[textOf(pull['state']) ?? ''];
  if (!repository || number === undefined || state === undefined) return undefined;
  const [source, target] = [fieldsOf(pull['source']), fieldsOf(pull['destination'])];
  const targetBranch = textOf(fieldsOf(target['branch'])['name']);
  const pullRequest = known({
    id: String(number),
    number,
    title: textOf(pull['title']) ?? '',
    body: textOf(pull['description']),
    url: pageOf(pull),
    state,
    draft: booleanOf(pull['draft']),
    sourceBranch: textOf(fieldsOf(source['branch'])['name']),
    targetBranch,
    headCommit: textOf(fieldsOf(source['commit'])['hash']),
    mergeCommit: state === 'merged' ? textOf(fieldsOf(pull['merge_commit'])['hash']) : undefined,
    author: authorOf(pull['author']),
  });
  return {
    subject: `pull_request/${repository.fullName}/${number}`,
    data: known({ repository, branch: targetBranch, pullRequest, author: authorOf(payload['actor']) }),
  };
}

function commented(payload: Fields, on: 'pull_request' | 'commit'): NeutralEvent | undefined {
  const repository = repositoryOf(payload['repository']);
  const given = fieldsOf(payload['comment']);
  const body = fieldsOf(given['content'])['raw'];
  const about = on === 'pull_request' ? aboutPullRequest(payload) : undefined;
  if (!repository || typeof body !== 'string' || (on === 'pull_request' && !about)) return undefined;
  const inline = fieldsOf(given['inline']);
  const comment = known({
    id: idOf(given['id']),
    body,
    url: pageOf(given),
    on,
    path: textOf(inline['path']),
    line: integerOf(inline['to']) ?? integerOf(inline['from']),
    commit: textOf(fieldsOf(payload['commit'])['hash']),
    author: authorOf(given['user']),
  });
  return {
    type: 'comment.created',
    subject: about?.subject ?? `repository/${repository.fullName}`,
    timestamp: textOf(given['created_on']),
    data: known({ repository, comment, pullRequest: about?.data['pullRequest'], author: authorOf(payload['actor']) }),
  };
}
