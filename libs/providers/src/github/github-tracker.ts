import {
  causeIn,
  findInPages,
  misconfigured,
  sinceFirstAttempt,
  type TrackedIssue,
  type Tracker,
  type TrackerContext,
} from '#libs/plugin-sdk/src/services/define-tracker.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import { fieldsOf, idOf, type Json, listOf, textOf } from '#libs/plugin-sdk/src/fields.js';
import { type JsonAnswer, requestJson, statusError } from '#libs/plugin-sdk/src/services/request-json.js';

const SERVICE = 'GitHub';
const API = 'https://api.github.com';

/** Issues of the repository of the integration, or of that from which the event came. */
export const githubTracker: Tracker = {
  async create({ title, body, labels, assignee }, context) {
    const answer = await call(context, 'POST', '', {
      title,
      body,
      labels: [...labels],
      ...(assignee !== undefined && { assignees: [assignee] }),
    });
    return { ...issueOf(answer.value), account: accountOf(answer.value) };
  },

  async find(mark, context) {
    const query = { state: 'all', sort: 'created', direction: 'desc', since: sinceFirstAttempt(context) };
    return pages(context, '', query, (one) =>
      textOf(fieldsOf(one)['body'])?.includes(mark) === true ? issueOf(one) : undefined,
    );
  },

  async get(id, context) {
    const answer = await call(context, 'GET', `/${encodeURIComponent(id)}`, undefined, [404, 410]);
    return answer.status === 200 ? issueOf(answer.value) : undefined;
  },

  async comment(id, body, context) {
    const answer = await call(context, 'POST', `/${encodeURIComponent(id)}/comments`, { body });
    return { commentId: idOf(fieldsOf(answer.value)['id']), account: accountOf(answer.value) };
  },

  async findComment(id, mark, context) {
    return pages(context, `/${encodeURIComponent(id)}/comments`, { since: sinceFirstAttempt(context) }, (one) => {
      const comment = fieldsOf(one);
      return textOf(comment['body'])?.includes(mark) === true
        ? { commentId: idOf(comment['id']), account: accountOf(one) }
        : undefined;
    });
  },

  async change(id, { labels, close }, context) {
    const path = `/${encodeURIComponent(id)}`;
    if (labels.length > 0) await call(context, 'POST', `${path}/labels`, { labels: [...labels] });
    if (close) await call(context, 'PATCH', path, { state: 'closed' });
  },
};

/** The cause of an issue that was opened from here: of one that is new, since later events are about what people do to it. */
export const causeOfIssue = (payload: Json, action: string | undefined): string | undefined =>
  action === 'opened' || action === 'created'
    ? causeIn(textOf(fieldsOf(fieldsOf(payload)['comment'] ?? fieldsOf(payload)['issue'])['body']))
    : undefined;

/** Who made an issue or a comment. */
const accountOf = (made: Json | undefined): string | undefined => idOf(fieldsOf(fieldsOf(made)['user'])['id']);

/** Who changed which issue. */
export function changeOfIssue(payload: Json) {
  const { sender, issue } = fieldsOf(payload);
  const [actor, number] = [idOf(fieldsOf(sender)['id']), idOf(fieldsOf(issue)['number'])];
  return actor === undefined || number === undefined ? undefined : { actor, issue: number };
}

function issueOf(value: Json | undefined): TrackedIssue {
  const issue = fieldsOf(value);
  const id = idOf(issue['number']);
  if (id === undefined)
    throw new StepError({ code: 'github.unreadable_answer', message: 'GitHub answered no issue.', retryable: true });
  return { id, url: textOf(issue['html_url']), isOpen: issue['state'] === 'open' };
}

const pages = <T>(
  context: TrackerContext,
  path: string,
  query: Readonly<Record<string, string>>,
  look: (one: Json) => T | undefined,
): Promise<T | undefined> =>
  findInPages(
    async (parameters) => listOf((await call(context, 'GET', `${path}?${parameters.toString()}`)).value),
    query,
    look,
  );

/** @param allowed statuses outside 2xx that are an answer. */
async function call(
  context: TrackerContext,
  method: string,
  path: string,
  body?: Json,
  allowed: readonly number[] = [],
): Promise<JsonAnswer> {
  const { config, event } = context;
  const token = textOf(config['token']);
  if (token === undefined)
    throw misconfigured(
      'github.no_token',
      'The integration has no token. Set config.token to a token that may write issues.',
    );
  const repository = textOf(config['repository']) ?? textOf(fieldsOf(event?.['repository'])['fullName']);
  if (repository === undefined || !/^[^/\s]+\/[^/\s]+$/.test(repository))
    throw misconfigured(
      'github.no_repository',
      'It is not known in which repository. Set config.repository to owner/name.',
    );
  const base = (textOf(config['apiUrl']) ?? API).replace(/\/+$/, '');
  const answer = await requestJson(context, {
    service: SERVICE,
    method,
    url: `${base}/repos/${repository.split('/').map(encodeURIComponent).join('/')}/issues${path}`,
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'x-github-api-version': '2022-11-28',
    },
    ...(body !== undefined && { body }),
  });
  const { status, headers } = answer;
  if ((status >= 200 && status < 300) || allowed.includes(status)) return answer;
  const detail = textOf(fieldsOf(answer.value)['message']);
  // A limit is reported as 403 or 429: the primary one with the second at which it ends, the others with Retry-After.
  const isLimit =
    (status === 403 || status === 429) && (headers['x-ratelimit-remaining'] === '0' || headers['retry-after']);
  if (isLimit) {
    const reset = Number(headers['x-ratelimit-reset']) - context.now.getTime() / 1000;
    const { retryAfter = Number.isFinite(reset) ? Math.max(1, Math.ceil(reset)) : 60 } = statusError(
      SERVICE,
      answer,
      context.now,
    );
    throw new StepError({
      code: 'github.rate_limited',
      message: `GitHub answered ${status}: the rate limit is reached.`,
      retryable: true,
      retryAfter,
    });
  }
  throw statusError(SERVICE, answer, context.now, detail);
}
