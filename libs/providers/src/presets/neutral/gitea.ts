import { type Fields, fieldsOf, integerOf, known, listOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import type { NeutralEvent, NeutralInput } from '#libs/plugin-sdk/src/scheme/define-preset.js';

import { authorOf } from '../../github/github-fields.js';
import { githubEvent } from '../../github/github.js';

/** Gitea and Forgejo write their events as GitHub does, but for what is changed here. */
export function giteaEvent({ value, eventType }: NeutralInput): NeutralEvent | undefined {
  const payload = fieldsOf(value);
  const action = textOf(payload['action']);
  const event = eventOf(eventType, payload);
  return event && { ...event, action };
}

function eventOf(eventType: string, payload: Fields): NeutralEvent | undefined {
  switch (eventType) {
    case 'push':
      return pushed(payload);
    case 'pull_request':
      return githubEvent('pull_request', payload);
    case 'issue_comment':
    case 'pull_request_comment':
      // A comment of a review has no `comment` beside it.
      return payload['comment'] === undefined
        ? reviewed(eventType, payload)
        : githubEvent('issue_comment', asIssue(payload));
    case 'pull_request_approved':
    case 'pull_request_rejected':
      return reviewed(eventType, payload);
    case 'issues':
    case 'release':
      return githubEvent(eventType, payload);
    default:
      return undefined;
  }
}

/** How many commits there are is sent as a number. */
function pushed(payload: Fields): NeutralEvent | undefined {
  const total = integerOf(payload['total_commits']);
  // No commits are written as null.
  const commits = payload['commits'] ?? (total === 0 ? [] : null);
  const event = githubEvent('push', { ...payload, commits });
  const isPart = (total ?? 0) > listOf(commits).length;
  return event && isPart && event.type === 'git.push' ? { ...event, data: { ...event.data, truncated: true } } : event;
}

/** To GitHub an issue is a pull request once it has such a field; Gitea always sends it, as null where there is none. */
function asIssue(payload: Fields): Fields {
  const { pull_request: pull, ...issue } = fieldsOf(payload['issue']);
  const isPull = payload['is_pull'] === true || (typeof pull === 'object' && pull !== null);
  return { ...payload, issue: known({ ...issue, pull_request: isPull ? (pull ?? {}) : undefined }) };
}

const REVIEWS: Readonly<Record<string, string>> = {
  pull_request_approved: 'approved',
  pull_request_rejected: 'changes_requested',
  pull_request_comment: 'commented',
};

function reviewed(eventType: string, payload: Fields): NeutralEvent | undefined {
  const about = githubEvent('pull_request', { ...payload, action: 'reviewed' });
  if (!about || !Object.hasOwn(REVIEWS, eventType)) return undefined;
  const review = known({
    state: REVIEWS[eventType],
    body: textOf(fieldsOf(payload['review'])['content']),
    author: authorOf(payload['sender']),
  });
  return { ...about, type: 'pr.reviewed', data: { ...about.data, review } };
}
