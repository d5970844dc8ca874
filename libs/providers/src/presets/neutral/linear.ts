import {
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

/** Issues and comments of Linear. What is removed, and everything else, is `webhook.received`. */
export function linearEvent({ value, eventType }: NeutralInput): NeutralEvent | undefined {
  const payload = fieldsOf(value);
  const action = textOf(payload['action']);
  const timestamp = textOf(payload['createdAt']);
  const author = authorOf(payload['actor']);
  const event =
    eventType === 'Issue'
      ? issueEvent(payload, action)
      : eventType === 'Comment'
        ? comment(payload, action)
        : undefined;
  return event && { ...event, timestamp, action, data: known({ ...event.data, author }) };
}

function issueEvent(payload: Fields, action: string | undefined): NeutralEvent | undefined {
  const data = fieldsOf(payload['data']);
  const issue = issueOf(data, textOf(payload['url']), action === 'create' ? 'open' : undefined);
  if (!issue) return undefined;
  const subject = subjectOf(data, textOf(payload['url']));
  if (action === 'create') return { type: 'issue.created', subject, data: { issue } };
  if (action !== 'update') return undefined;
  const before = fieldsOf(payload['updatedFrom']);
  // The earlier status is an id alone.
  if ('stateId' in before) return { type: 'issue.status_changed', subject, data: { issue, to: issue['state']! } };
  const changed = Object.keys(before).filter((key) => key !== 'updatedAt' && key !== 'sortOrder');
  return {
    type: 'issue.updated',
    subject,
    data: known({ issue, changed: changed.length === 0 ? undefined : changed }),
  };
}

function comment(payload: Fields, action: string | undefined): NeutralEvent | undefined {
  const data = fieldsOf(payload['data']);
  if (action !== 'create' || typeof data['body'] !== 'string') return undefined;
  const about = fieldsOf(data['issue']);
  const url = textOf(payload['url']);
  return {
    type: 'comment.created',
    subject: subjectOf(about, url),
    data: known({
      // Often without what makes an issue up.
      issue: issueOf(about, textOf(about['url']), undefined),
      comment: known({ id: idOf(data['id']), body: data['body'], url, on: 'issue', author: authorOf(data['user']) }),
    }),
  };
}

/** `ACM-7`, which people write; an id where neither the issue nor its address has it. */
function subjectOf(issue: Fields, url: string | undefined): string {
  const key = textOf(issue['identifier']) ?? /\/issue\/([A-Za-z0-9]+-\d+)/.exec(url ?? '')?.[1] ?? idOf(issue['id']);
  return key === undefined ? '' : `issue/${key}`;
}

function issueOf(issue: Fields, url: string | undefined, unsaid: string | undefined): JsonObject | undefined {
  const number = integerOf(issue['number']);
  const state = textOf(fieldsOf(issue['state'])['name']) ?? unsaid;
  if (number === undefined || state === undefined) return undefined;
  const assignee = fieldsOf(issue['assignee']);
  const name = textOf(assignee['displayName']) ?? textOf(assignee['name']);
  return known({
    id: idOf(issue['id']),
    number,
    title: textOf(issue['title']) ?? '',
    body: textOf(issue['description']),
    url: textOf(issue['url']) ?? url,
    state,
    priority: textOf(issue['priorityLabel']),
    team: textOf(fieldsOf(issue['team'])['key']),
    labels: Array.isArray(issue['labels'])
      ? listOf(issue['labels'] as Json).flatMap((label) => textOf(fieldsOf(label)['name']) ?? [])
      : undefined,
    assignee: name,
    assignees: name === undefined ? undefined : [name],
    author: authorOf(issue['creator']),
  });
}

function authorOf(value: Json | undefined): JsonObject | undefined {
  const user = fieldsOf(value);
  const author = known({
    id: textOf(user['id']),
    name: textOf(user['name']),
    email: textOf(user['email']),
    url: textOf(user['url']),
    bot: user['type'] === 'integration' || user['type'] === 'OauthClient' ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}
