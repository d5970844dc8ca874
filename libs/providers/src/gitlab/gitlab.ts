import {
  defineProvider,
  type InboundRequest,
  type NormalisedEvent,
  type ProviderContext,
  type Verdict,
} from '#libs/plugin-sdk/src/define-provider.js';
import { type Fields, fieldsOf, integerOf, type JsonObject, known, textOf } from '#libs/plugin-sdk/src/fields.js';
import { holdsSecret } from '#libs/plugin-sdk/src/signatures.js';
import { STANDARD_SECRET_PREFIX } from '#libs/plugin-sdk/src/standard-webhooks.js';

import { commitsOf, isWhole } from '../commits.js';
import {
  authorOf,
  commentOf,
  issueOf,
  mergeRequestOf,
  pipelineOf,
  pusherOf,
  releaseOf,
  repositoryOf,
  timeOf,
} from './gitlab-fields.js';
import { causeOfIssue, changeOfIssue, gitlabTracker } from './gitlab-tracker.js';
import { personalOfCodeHosts } from '../personal-fields.js';
import { signStandardWebhook, verifyStandardWebhook } from '../standard-webhooks.js';

const TOKEN = 'x-gitlab-token';
const BRANCH = 'refs/heads/';
const TAG = 'refs/tags/';
/** Before a ref is made and after it is gone; longer where a repository uses SHA-256. */
const NOTHING = /^0{40}(0{24})?$/;

/** GitLab, its own servers and GitLab.com: project, group and system hooks. */
export const gitlab = defineProvider({
  name: 'gitlab',
  personal: personalOfCodeHosts([
    'data.payload.[user_username, user_email]',
    'data.payload.user.[username, email]',
    'data.payload.assignees[].username',
    'data.payload.reviewers[].username',
  ]),
  description:
    'GitLab webhooks: with a secret token, or signed as Standard Webhooks where the secret begins with whsec_.',
  wants:
    'X-Gitlab-Token, the secret token of the webhook at GitLab; or, where the secret begins with whsec_, webhook-id, webhook-timestamp and webhook-signature',
  config: {
    properties: {
      apiUrl: { type: 'string', format: 'uri', description: 'of your GitLab; default https://gitlab.com/api/v4' },
      token: {
        type: 'string',
        minLength: 1,
        description: 'access token with the scope api, with which issues are opened',
      },
      project: { type: ['string', 'integer'], minLength: 1, description: 'id of the project, or group/name' },
    },
    secrets: ['token'],
  },
  tracker: gitlabTracker,
  keepHeaders: [
    'user-agent',
    'x-gitlab-event',
    'x-gitlab-event-uuid',
    'x-gitlab-webhook-uuid',
    'x-gitlab-instance',
    'idempotency-key',
    'webhook-id',
    'webhook-timestamp',
  ],

  verify(request, context) {
    const signing = context.secrets.filter((secret) => secret.startsWith(STANDARD_SECRET_PREFIX));
    return request.headers['webhook-signature'] !== undefined && signing.length > 0
      ? verifyStandardWebhook(request, { ...context, secrets: signing, config: {} })
      : verifyToken(request, context);
  },

  sign(request, context) {
    const [secret] = context.secrets;
    if (secret === undefined) return {};
    return secret.startsWith(STANDARD_SECRET_PREFIX) ? signStandardWebhook(request, context) : { [TOKEN]: secret };
  },

  normalise({ value, request: { headers } }, { now }) {
    const payload = fieldsOf(value);
    const kind = textOf(payload['object_kind']) ?? textOf(payload['event_name']);
    const action = textOf(fieldsOf(payload['object_attributes'])['action']) ?? textOf(payload['action']);
    const read = kind !== undefined && Object.hasOwn(readers, kind) ? readers[kind] : undefined;
    return {
      // Events that follow from what a hook did share their event UUID; the key is this delivery's alone.
      deliveryId: headers['idempotency-key'] || headers['webhook-id'] || headers['x-gitlab-event-uuid'],
      eventType: (kind ?? headers['x-gitlab-event']) || 'unknown',
      action,
      cause: causeOfIssue(value, kind, action),
      doneBy: kind === 'issue' ? changeOfIssue(value) : undefined,
      events: [read?.(payload, action, now) ?? somethingElse(payload, kind)],
    };
  },
});

function verifyToken({ headers }: InboundRequest, { secrets }: ProviderContext): Verdict {
  if (secrets.length === 0) return { ok: true, authentication: 'slug' };
  const token = headers[TOKEN];
  if (token === undefined) return { ok: false, reason: 'signature_missing' };
  return holdsSecret(token, secrets)
    ? { ok: true, authentication: 'token' }
    : { ok: false, reason: 'signature_mismatch' };
}

/** Reads one of GitLab's events; `undefined` if it is not one of ours, or not as GitLab describes it. */
type Reader = (payload: Fields, action: string | undefined, now: Date) => NormalisedEvent | undefined;

const readers: Readonly<Record<string, Reader>> = {
  push: readPush,
  tag_push: readPush,
  merge_request: readMergeRequest,
  note: readNote,
  issue: readIssue,
  release: readRelease,
  pipeline: readPipeline,
};

function readPush(payload: Fields): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['project']);
  const ref = textOf(payload['ref']);
  if (!repository || ref === undefined) return undefined;
  const before = textOf(payload['before']);
  const after = textOf(payload['after']);
  const created = before === undefined ? undefined : NOTHING.test(before);
  const deleted = after === undefined ? undefined : NOTHING.test(after);
  const author = pusherOf(payload);
  const subject = `repository/${repository.fullName}`;
  if (ref.startsWith(TAG) && ref.length > TAG.length) {
    const tag = ref.slice(TAG.length);
    const data = known({ repository, ref, tag, before, after, created, deleted, author });
    return { type: 'git.tag_pushed', subject, data };
  }
  if (!ref.startsWith(BRANCH) || ref.length === BRANCH.length) return undefined;
  const branch = ref.slice(BRANCH.length);
  const commits = commitsOf(payload['commits'], authorOf, timeOf);
  // GitLab lists the newest 20, and says how many there are.
  const isPart =
    (integerOf(payload['total_commits_count']) ?? 0) > commits.length ||
    !(deleted === true || isWhole(payload['commits'], commits));
  const truncated = isPart ? true : undefined;
  // Whether history was rewritten GitLab does not say.
  const data = known({ repository, ref, branch, before, after, created, deleted, commits, truncated, author });
  return { type: 'git.push', subject, data };
}

const MERGE_REQUEST_TYPES: Readonly<Record<string, string>> = {
  open: 'pr.opened',
  merge: 'pr.merged',
  close: 'pr.closed',
};

function readMergeRequest(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const merge = payload['object_attributes'];
  const about = aboutMergeRequest(payload, merge, action);
  if (!about) return undefined;
  const timestamp = timeOf(fieldsOf(merge)[action === 'open' ? 'created_at' : 'updated_at']);
  if (action === 'approved' || action === 'approval') {
    const review = known({ state: 'approved', author: authorOf(payload['user']) });
    return { type: 'pr.reviewed', subject: about.subject, timestamp, data: { ...about.data, review } };
  }
  // A test of a hook, and some system hooks, do not say what was done.
  const type = Object.hasOwn(MERGE_REQUEST_TYPES, action ?? '') ? MERGE_REQUEST_TYPES[action!]! : 'pr.updated';
  return { type, ...about, timestamp };
}

function aboutMergeRequest(payload: Fields, merge: Parameters<typeof mergeRequestOf>[0], action?: string) {
  const repository = repositoryOf(payload['project']);
  const pullRequest = mergeRequestOf(merge, payload, action);
  if (!repository || !pullRequest) return undefined;
  return {
    subject: `pull_request/${repository.fullName}/${pullRequest.number}`,
    data: known({
      repository,
      branch: textOf(fieldsOf(merge)['target_branch']),
      pullRequest,
      author: authorOf(payload['user']),
    }),
  };
}

function readNote(payload: Fields): NormalisedEvent | undefined {
  const note = fieldsOf(payload['object_attributes']);
  const action = textOf(note['action']);
  // Older versions tell of new notes alone, and do not say so. What the system writes nobody has said.
  if ((action !== undefined && action !== 'create') || note['system'] === true) return undefined;
  const about = noteAbout(payload, textOf(note['noteable_type']));
  if (!about) return undefined;
  const comment = commentOf(payload['object_attributes'], payload, about.on);
  if (!comment) return undefined;
  return {
    type: 'comment.created',
    subject: about.subject,
    timestamp: timeOf(note['created_at']),
    data: known({ ...about.data, comment, author: authorOf(payload['user']) }),
  };
}

function noteAbout(
  payload: Fields,
  kind: string | undefined,
): { on: 'issue' | 'pull_request' | 'commit'; subject: string; data: JsonObject } | undefined {
  const repository = repositoryOf(payload['project']);
  if (!repository) return undefined;
  if (kind === 'MergeRequest') {
    const about = aboutMergeRequest(payload, payload['merge_request']);
    if (!about) return undefined;
    const { repository: _, pullRequest } = about.data;
    return { on: 'pull_request', subject: about.subject, data: known({ repository, pullRequest }) };
  }
  if (kind === 'Issue') {
    const issue = issueOf(payload['issue'], payload);
    if (!issue) return undefined;
    return { on: 'issue', subject: `issue/${repository.fullName}/${issue.number}`, data: { repository, issue } };
  }
  if (kind === 'Commit') return { on: 'commit', subject: `repository/${repository.fullName}`, data: { repository } };
  return undefined;
}

function readIssue(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['project']);
  const issue = issueOf(payload['object_attributes'], payload, action);
  if (!repository || !issue) return undefined;
  const changed = action === 'close' || action === 'reopen';
  return {
    type: action === 'open' ? 'issue.created' : changed ? 'issue.status_changed' : 'issue.updated',
    subject: `issue/${repository.fullName}/${issue.number}`,
    timestamp: timeOf(fieldsOf(payload['object_attributes'])[action === 'open' ? 'created_at' : 'updated_at']),
    data: known({
      repository,
      issue,
      author: authorOf(payload['user']),
      ...(action === 'close' && { from: 'open', to: 'closed' }),
      ...(action === 'reopen' && { from: 'closed', to: 'open' }),
    }),
  };
}

function readRelease(payload: Fields, action: string | undefined, now: Date): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['project']);
  const release = releaseOf(payload);
  if (!repository || !release || action !== 'create') return undefined;
  return {
    type: 'release.published',
    subject: `release/${repository.fullName}/${release.tag}`,
    timestamp: timeOf(payload[isUpcoming(payload, now) ? 'created_at' : 'released_at']),
    data: known({ repository, release, author: authorOf(payload['user']) }),
  };
}

/** A release may be announced before its date. */
const isUpcoming = (payload: Fields, now: Date): boolean =>
  Date.parse(timeOf(payload['released_at']) ?? '') > now.getTime();

function readPipeline(payload: Fields): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['project']);
  const run = payload['object_attributes'];
  const pipeline = pipelineOf(run, textOf(fieldsOf(payload['project'])['web_url']));
  if (!repository || !pipeline) return undefined;
  return {
    type: 'pipeline.finished',
    subject: `repository/${repository.fullName}`,
    timestamp: timeOf(fieldsOf(run)['finished_at']),
    data: known({ repository, branch: textOf(pipeline['branch']), pipeline, author: authorOf(payload['user']) }),
  };
}

/** Events whose `user_*` is who did it. Of others, such as `user_add_to_team`, it is whom it was done to. */
const OF_PUSHER: ReadonlySet<string> = new Set(['push', 'tag_push', 'repository_update']);

function somethingElse(payload: Fields, kind: string | undefined): NormalisedEvent {
  const pusher = OF_PUSHER.has(kind ?? '') ? pusherOf(payload) : undefined;
  const repository = repositoryOf(payload['project']);
  return {
    type: 'webhook.received',
    subject: repository ? `repository/${repository.fullName}` : '',
    data: known({ repository, author: authorOf(payload['user']) ?? pusher }),
  };
}
