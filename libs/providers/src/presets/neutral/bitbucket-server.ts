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
  'pr:opened': 'pr.opened',
  'pr:modified': 'pr.updated',
  'pr:from_ref_updated': 'pr.updated',
  'pr:reviewer:updated': 'pr.updated',
  'pr:merged': 'pr.merged',
  'pr:declined': 'pr.closed',
};
const REVIEWS: Readonly<Record<string, string>> = {
  'pr:reviewer:approved': 'approved',
  'pr:reviewer:needs_work': 'changes_requested',
  'pr:reviewer:changes_requested': 'changes_requested',
};

/** Events of Bitbucket Data Center in the words of code hosts. A push may be of several refs: each is an event. */
export function bitbucketServerEvent({
  value,
  eventType,
}: NeutralInput): NeutralEvent | readonly NeutralEvent[] | undefined {
  const payload = fieldsOf(value);
  const timestamp = textOf(payload['date']);
  if (eventType === 'repo:refs_changed') return pushed(payload, timestamp);
  if (eventType === 'repo:comment:added') return commented(payload, timestamp);
  const about = aboutPullRequest(payload);
  if (!about) return undefined;
  if (eventType === 'pr:comment:added') return commented(payload, timestamp, about);
  if (Object.hasOwn(PULL_REQUESTS, eventType)) return { type: PULL_REQUESTS[eventType]!, ...about, timestamp };
  if (!Object.hasOwn(REVIEWS, eventType)) return undefined;
  const review = known({ state: REVIEWS[eventType], author: authorOf(fieldsOf(payload['participant'])['user']) });
  return { type: 'pr.reviewed', subject: about.subject, timestamp, data: { ...about.data, review } };
}

const pageOf = (value: Fields): string | undefined =>
  textOf(fieldsOf(listOf(fieldsOf(value['links'])['self'])[0])['href']);

function authorOf(value: Json | undefined): JsonObject | undefined {
  const user = fieldsOf(value);
  const author = known({
    id: idOf(user['id']),
    username: textOf(user['name']),
    name: textOf(user['displayName']),
    email: textOf(user['emailAddress']),
    url: pageOf(user),
    bot: user['type'] === 'SERVICE' ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}

function repositoryOf(value: Json | undefined) {
  const repository = fieldsOf(value);
  const name = textOf(repository['slug']);
  const project = textOf(fieldsOf(repository['project'])['key']);
  if (name === undefined || project === undefined) return undefined;
  const isPublic = booleanOf(repository['public']);
  return {
    ...known({
      id: idOf(repository['id']),
      url: pageOf(repository),
      private: isPublic === undefined ? undefined : !isPublic,
    }),
    name,
    fullName: `${project}/${name}`,
  };
}

const [BRANCH, TAG] = ['refs/heads/', 'refs/tags/'];

function pushed(payload: Fields, timestamp: string | undefined): readonly NeutralEvent[] | undefined {
  const repository = repositoryOf(payload['repository']);
  if (!repository) return undefined;
  const author = authorOf(payload['actor']);
  const changes = listOf(payload['changes']);
  return changes.flatMap((element): NeutralEvent[] => {
    const change = fieldsOf(element);
    const type = textOf(change['type']);
    const ref = textOf(change['refId']) ?? textOf(fieldsOf(change['ref'])['id']) ?? '';
    const shared = known({
      repository,
      ref,
      before: textOf(change['fromHash']),
      after: textOf(change['toHash']),
      created: type === undefined ? undefined : type === 'ADD',
      deleted: type === undefined ? undefined : type === 'DELETE',
      author,
    });
    const subject = `repository/${repository.fullName}`;
    if (ref.startsWith(TAG) && ref.length > TAG.length)
      return [{ type: 'git.tag_pushed', subject, timestamp, data: { ...shared, tag: ref.slice(TAG.length) } }];
    if (!ref.startsWith(BRANCH) || ref.length === BRANCH.length) return [];
    // Which of several refs the commits belong to is not said, and earlier versions do not send them.
    const isListed = Array.isArray(payload['commits']) && changes.length === 1;
    const isWhole = isListed || type === 'DELETE';
    const data = known({
      ...shared,
      branch: ref.slice(BRANCH.length),
      commits: isListed
        ? listOf(payload['commits'] as Json)
            .toReversed()
            .flatMap(commitOf)
        : [],
      truncated: isWhole ? undefined : true,
    });
    return [{ type: 'git.push', subject, timestamp, data }];
  });
}

function commitOf(value: Json): JsonObject[] {
  const commit = fieldsOf(value);
  const id = textOf(commit['id']);
  if (id === undefined) return [];
  const { name, emailAddress } = fieldsOf(commit['author']);
  const author = known({ name: textOf(name), email: textOf(emailAddress) });
  const at = integerOf(commit['authorTimestamp']);
  return [
    known({
      id,
      message: typeof commit['message'] === 'string' ? commit['message'] : '',
      author: Object.keys(author).length === 0 ? undefined : author,
      timestamp: at === undefined ? undefined : new Date(at).toISOString(),
    }),
  ];
}

const STATES: Readonly<Record<string, string>> = { OPEN: 'open', MERGED: 'merged', DECLINED: 'closed' };

function aboutPullRequest(payload: Fields) {
  const pull = fieldsOf(payload['pullRequest']);
  const [source, target] = [fieldsOf(pull['fromRef']), fieldsOf(pull['toRef'])];
  const repository = repositoryOf(target['repository']);
  const number = integerOf(pull['id']);
  const state = STATES[textOf(pull['state']) ?? ''];
  if (!repository || number === undefined || state === undefined) return undefined;
  const targetBranch = textOf(target['displayId']);
  const pullRequest = known({
    id: String(number),
    number,
    title: textOf(pull['title']) ?? '',
    body: textOf(pull['description']),
    url: pageOf(pull),
    state,
    draft: booleanOf(pull['draft']),
    sourceBranch: textOf(source['displayId']),
    targetBranch,
    headCommit: textOf(source['latestCommit']),
    mergeCommit: textOf(fieldsOf(fieldsOf(pull['properties'])['mergeCommit'])['id']),
    author: authorOf(fieldsOf(pull['author'])['user']),
  });
  return {
    subject: `pull_request/${repository.fullName}/${number}`,
    data: known({ repository, branch: targetBranch, pullRequest, author: authorOf(payload['actor']) }),
  };
}

function commented(
  payload: Fields,
  timestamp: string | undefined,
  about?: { readonly subject: string; readonly data: JsonObject },
): NeutralEvent | undefined {
  const repository = about ? fieldsOf(about.data['repository']) : repositoryOf(payload['repository']);
  const given = fieldsOf(payload['comment']);
  if (!repository || typeof given['text'] !== 'string') return undefined;
  const comment = known({
    id: idOf(given['id']),
    body: given['text'],
    on: about ? 'pull_request' : 'commit',
    commit: about ? undefined : textOf(payload['commit']),
    author: authorOf(given['author']),
  });
  return {
    type: 'comment.created',
    subject: about?.subject ?? `repository/${textOf(repository['fullName'])!}`,
    timestamp,
    data: known({
      repository: { ...repository } as JsonObject,
      comment,
      pullRequest: about?.data['pullRequest'],
      author: authorOf(payload['actor']),
    }),
  };
}
