import {
  type Fields,
  fieldsOf,
  idOf,
  integerOf,
  type Json,
  type JsonObject,
  known,
  knownTextsOf,
  listOf,
  textOf,
} from '#libs/plugin-sdk/src/fields.js';
import type { NeutralEvent, NeutralInput } from '#libs/plugin-sdk/src/scheme/define-preset.js';

/** Issues and comments of Jira. What is deleted, and everything else, is `webhook.received`. */
export function jiraEvent({ value, eventType }: NeutralInput): NeutralEvent | undefined {
  const payload = fieldsOf(value);
  const issue = issueOf(payload['issue']);
  if (!issue) return undefined;
  const subject = `issue/${textOf(fieldsOf(payload['issue'])['key'])!}`;
  const timestamp = integerOf(payload['timestamp']);
  const author = authorOf(payload['user']);
  switch (eventType) {
    case 'jira:issue_created':
      return { type: 'issue.created', subject, timestamp, data: known({ issue, author }) };
    case 'jira:issue_updated':
      return { ...updated(payload), subject, timestamp, data: known({ issue, author, ...updated(payload).data }) };
    case 'comment_created': {
      const given = fieldsOf(payload['comment']);
      if (typeof given['body'] !== 'string') return undefined;
      const writer = authorOf(given['author']);
      const comment = known({ id: idOf(given['id']), body: given['body'], on: 'issue', author: writer });
      return {
        type: 'comment.created',
        subject,
        timestamp: timestamp ?? textOf(given['created']),
        data: known({ issue, comment, author: author ?? writer }),
      };
    }
    default:
      return undefined;
  }
}

function updated(payload: Fields): { readonly type: string; readonly data: JsonObject } {
  const items = listOf(fieldsOf(payload['changelog'])['items']).map(fieldsOf);
  const status = items.find(({ field }) => field === 'status');
  if (status)
    return {
      type: 'issue.status_changed',
      data: known({ from: textOf(status['fromString']), to: textOf(status['toString']) }),
    };
  const changed = items.flatMap(({ field }) => textOf(field) ?? []);
  return { type: 'issue.updated', data: changed.length === 0 ? {} : { changed } };
}

function issueOf(value: Json | undefined): JsonObject | undefined {
  const issue = fieldsOf(value);
  const key = textOf(issue['key']);
  const number = /-(\d{1,15})$/.exec(key ?? '')?.[1];
  const fields = fieldsOf(issue['fields']);
  const state = textOf(fieldsOf(fields['status'])['name']);
  if (key === undefined || number === undefined || state === undefined) return undefined;
  const origin = /^https?:\/\/[^/]+/.exec(textOf(issue['self']) ?? '')?.[0];
  const assignee = fieldsOf(fields['assignee']);
  const username = textOf(assignee['name']) ?? textOf(assignee['accountId']);
  return known({
    id: idOf(issue['id']),
    number: Number(number),
    title: textOf(fields['summary']) ?? '',
    body: textOf(fields['description']),
    url: origin === undefined ? undefined : `${origin}/browse/${key}`,
    state,
    priority: textOf(fieldsOf(fields['priority'])['name']),
    labels: knownTextsOf(fields['labels']),
    assignee: textOf(assignee['displayName']),
    // Nobody is written as null.
    assignees: fields['assignee'] === undefined ? undefined : username === undefined ? [] : [username],
    author: authorOf(fields['creator']) ?? authorOf(fields['reporter']),
  });
}

/** Accounts of Jira Cloud have an id, those of Data Center a name. */
function authorOf(value: Json | undefined): JsonObject | undefined {
  const user = fieldsOf(value);
  const author = known({
    id: textOf(user['accountId']) ?? textOf(user['key']),
    username: textOf(user['name']),
    name: textOf(user['displayName']),
    email: textOf(user['emailAddress']),
    bot: user['accountType'] === 'app' ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}
