import { defineProvider, type NormalisedEvent } from '#libs/plugin-sdk/src/define-provider.js';
import {
  booleanOf,
  type Fields,
  fieldsOf,
  integerOf,
  type Json,
  type JsonObject,
  known,
  textOf,
} from '#libs/plugin-sdk/src/fields.js';
import { hmacSha256Hex, verifyHmac } from '#libs/plugin-sdk/src/signatures.js';

import { commitsOf, isWhole } from '../commits.js';
import {
  authorOf,
  commentOf,
  issueOf,
  pipelineOf,
  pullRequestOf,
  pullState,
  releaseOf,
  repositoryOf,
  reviewOf,
} from './github-fields.js';
import { githubReconcile } from './github-reconcile.js';
import { causeOfIssue, changeOfIssue, githubTracker } from './github-tracker.js';
import { personalOfCodeHosts } from '../personal-fields.js';

const SIGNATURE = { header: 'x-hub-signature-256', prefix: 'sha256=' } as const;
const BRANCH = 'refs/heads/';
const TAG = 'refs/tags/';
/** GitHub lists no more commits of a push. */
const MOST_COMMITS = 2048;

/** GitHub and GitHub Enterprise Server: repository, organisation and app webhooks, JSON or form-encoded. */
export const github = defineProvider({
  name: 'github',
  personal: personalOfCodeHosts([
    'data.payload.sender.login',
    'data.payload.*.user.login',
    'data.payload.*.assignees[].login',
    'data.payload.requested_reviewers[].login',
    'data.payload.pusher.[name, email]',
  ]),
  description: 'GitHub webhooks, signed with X-Hub-Signature-256.',
  wants:
    'X-Hub-Signature-256: sha256= and 64 hex digits, the HMAC-SHA256 of the raw body; set the secret of the webhook at GitHub',
  config: {
    properties: {
      apiUrl: { type: 'string', format: 'uri', description: 'of GitHub Enterprise Server; default api.github.com' },
      token: {
        type: 'string',
        minLength: 1,
        description: 'with which missed deliveries are fetched and issues opened',
      },
      hookId: { type: 'integer', minimum: 1, description: 'of the webhook at GitHub' },
      repository: { type: 'string', pattern: '^[^/\\s]+/[^/\\s]+$', description: 'owner and name of the repository' },
    },
    secrets: ['token'],
  },
  keepHeaders: [
    'user-agent',
    'x-github-delivery',
    'x-github-event',
    'x-github-hook-id',
    'x-github-hook-installation-target-id',
    'x-github-hook-installation-target-type',
    'x-github-enterprise-host',
    'x-github-enterprise-version',
  ],

  verify: (request, context) => verifyHmac(request, context, SIGNATURE),
  sign: ({ rawBody }, { secrets: [secret] }) =>
    secret === undefined ? {} : { [SIGNATURE.header]: `${SIGNATURE.prefix}${hmacSha256Hex(secret, rawBody)}` },

  reconcile: githubReconcile,
  tracker: githubTracker,

  normalise({ value, request: { headers } }) {
    const payload = fieldsOf(value);
    const eventType = headers['x-github-event'] || 'unknown';
    const action = textOf(payload['action']);
    return {
      deliveryId: headers['x-github-delivery'],
      eventType,
      action,
      cause: causeOfIssue(value, action),
      doneBy: changeOfIssue(value),
      events: [githubEvent(eventType, payload) ?? somethingElse(payload)],
    };
  },
});

/** One of GitHub's events in neutral words; also of hosts that write theirs as GitHub does. */
export function githubEvent(eventType: string, payload: Fields): NormalisedEvent | undefined {
  const read = Object.hasOwn(readers, eventType) ? readers[eventType] : undefined;
  return read?.(payload, textOf(payload['action']));
}

/** Reads one of GitHub's events; `undefined` if it is not one of ours, or not as GitHub describes it. */
type Reader = (payload: Fields, action: string | undefined) => NormalisedEvent | undefined;

const readers: Readonly<Record<string, Reader>> = {
  push: readPush,
  pull_request: readPullRequest,
  pull_request_review: readReview,
  issues: readIssue,
  issue_comment: readIssueComment,
  pull_request_review_comment: readReviewComment,
  commit_comment: readCommitComment,
  release: readRelease,
  workflow_run: (payload, action) => readPipeline(payload, action, payload['workflow_run']),
  check_suite: (payload, action) => readPipeline(payload, action, payload['check_suite']),
};

/** Commits that do not exist are written as zeros: before a ref is created, and after it is deleted. */
const isNothing = (commit: string | undefined): boolean | undefined =>
  commit === undefined ? undefined : /^0+$/.test(commit);

function readPush(payload: Fields): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['repository']);
  const ref = textOf(payload['ref']);
  if (!repository || ref === undefined) return undefined;
  const before = textOf(payload['before']);
  const after = textOf(payload['after']);
  // Gitea sends the commits alone.
  const created = booleanOf(payload['created']) ?? isNothing(before);
  const deleted = booleanOf(payload['deleted']) ?? isNothing(after);
  const author = authorOf(payload['sender']) ?? authorOf(payload['pusher']);
  const subject = `repository/${repository.fullName}`;
  // Seconds here, and here alone: everywhere else GitHub writes it as text.
  const pushedAt = integerOf(fieldsOf(payload['repository'])['pushed_at']);
  const timestamp = pushedAt === undefined ? undefined : pushedAt * 1000;
  if (ref.startsWith(TAG) && ref.length > TAG.length) {
    const tag = ref.slice(TAG.length);
    const data = known({ repository, ref, tag, before, after, created, deleted, author });
    return { type: 'git.tag_pushed', subject, timestamp, data };
  }
  if (!ref.startsWith(BRANCH) || ref.length === BRANCH.length) return undefined;
  const branch = ref.slice(BRANCH.length);
  // Others do not say.
  const forced = booleanOf(payload['forced']);
  const commits = commitsOf(payload['commits'], authorOf);
  const isPart = commits.length >= MOST_COMMITS || !(deleted === true || isWhole(payload['commits'], commits));
  const truncated = isPart ? true : undefined;
  const data = known({ repository, ref, branch, before, after, created, deleted, forced, commits, truncated, author });
  return { type: 'git.push', subject, timestamp, data };
}

function aboutPullRequest(payload: Fields, action?: string) {
  const repository = repositoryOf(payload['repository']);
  const pullRequest = pullRequestOf(payload['pull_request'], action);
  if (!repository || !pullRequest) return undefined;
  return {
    subject: `pull_request/${repository.fullName}/${pullRequest.number}`,
    data: known({
      repository,
      branch: textOf(pullRequest['targetBranch']),
      pullRequest,
      author: authorOf(payload['sender']),
    }),
  };
}

function readPullRequest(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const about = aboutPullRequest(payload, action);
  if (!about || action === undefined) return undefined;
  const { state } = fieldsOf(about.data['pullRequest']);
  const type =
    action === 'opened'
      ? 'pr.opened'
      : action !== 'closed'
        ? 'pr.updated'
        : state === 'merged'
          ? 'pr.merged'
          : 'pr.closed';
  const pull = fieldsOf(payload['pull_request']);
  return { type, ...about, timestamp: textOf(pull[action === 'opened' ? 'created_at' : 'updated_at']) };
}

function readReview(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const about = aboutPullRequest(payload);
  const review = reviewOf(payload['review']);
  if (!about || !review || action !== 'submitted') return undefined;
  return {
    type: 'pr.reviewed',
    subject: about.subject,
    timestamp: textOf(fieldsOf(payload['review'])['submitted_at']),
    data: { ...about.data, review },
  };
}

/** What changes whether an issue is open. */
const STATUS_ACTIONS: ReadonlySet<string> = new Set(['closed', 'reopened']);

function readIssue(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['repository']);
  const issue = issueOf(payload['issue'], action);
  if (!repository || !issue || action === undefined) return undefined;
  return {
    type: action === 'opened' ? 'issue.created' : STATUS_ACTIONS.has(action) ? 'issue.status_changed' : 'issue.updated',
    subject: `issue/${repository.fullName}/${issue.number}`,
    timestamp: textOf(fieldsOf(payload['issue'])[action === 'opened' ? 'created_at' : 'updated_at']),
    data: known({
      repository,
      issue,
      author: authorOf(payload['sender']),
      ...(action === 'closed' && { from: 'open', to: 'closed' }),
      ...(action === 'reopened' && { from: 'closed', to: 'open' }),
    }),
  };
}

function comment(
  payload: Fields,
  action: string | undefined,
  on: 'issue' | 'pull_request' | 'commit',
  about: { readonly subject?: string; readonly data: JsonObject },
): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['repository']);
  const said = commentOf(payload['comment'], on);
  if (!repository || !said || action !== 'created') return undefined;
  return {
    type: 'comment.created',
    subject: about.subject ?? `repository/${repository.fullName}`,
    timestamp: textOf(fieldsOf(payload['comment'])['created_at']),
    data: known({ repository, comment: said, ...about.data, author: authorOf(payload['sender']) }),
  };
}

function readIssueComment(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const issue = issueOf(payload['issue']);
  const fullName = textOf(fieldsOf(payload['repository'])['full_name']);
  if (!issue || fullName === undefined) return undefined;
  // To GitHub a pull request is an issue too; only this field tells them apart.
  if (typeof fieldsOf(payload['issue'])['pull_request'] !== 'object')
    return comment(payload, action, 'issue', { subject: `issue/${fullName}/${issue.number}`, data: { issue } });
  const { assignees: _, state, ...shared } = issue as typeof issue & { assignees?: Json; state?: string };
  const merged = textOf(fieldsOf(fieldsOf(payload['issue'])['pull_request'])['merged_at']) !== undefined;
  return comment(payload, action, 'pull_request', {
    subject: `pull_request/${fullName}/${issue.number}`,
    data: { pullRequest: known({ ...shared, state: merged ? 'merged' : pullState(state) }) },
  });
}

function readReviewComment(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const about = aboutPullRequest(payload);
  if (!about) return undefined;
  return comment(payload, action, 'pull_request', about);
}

function readCommitComment(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  return comment(payload, action, 'commit', { data: {} });
}

function readRelease(payload: Fields, action: string | undefined): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['repository']);
  const release = releaseOf(payload['release']);
  if (!repository || !release || action !== 'published') return undefined;
  return {
    type: 'release.published',
    subject: `release/${repository.fullName}/${release.tag}`,
    timestamp: textOf(fieldsOf(payload['release'])['published_at']),
    data: known({ repository, release, author: authorOf(payload['sender']) }),
  };
}

function readPipeline(payload: Fields, action: string | undefined, run: Json | undefined): NormalisedEvent | undefined {
  const repository = repositoryOf(payload['repository']);
  const pipeline = pipelineOf(run, payload['workflow']);
  if (!repository || !pipeline || action !== 'completed') return undefined;
  return {
    type: 'pipeline.finished',
    subject: `repository/${repository.fullName}`,
    timestamp: textOf(fieldsOf(run)['updated_at']),
    data: known({
      repository,
      branch: textOf(fieldsOf(run)['head_branch']),
      pipeline,
      author: authorOf(payload['sender']),
    }),
  };
}

function somethingElse(payload: Fields): NormalisedEvent {
  const repository = repositoryOf(payload['repository']);
  return {
    type: 'webhook.received',
    subject: repository ? `repository/${repository.fullName}` : '',
    data: known({ repository, author: authorOf(payload['sender']) }),
  };
}
