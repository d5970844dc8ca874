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

const SERVICE = 'GitLab';
const API = 'https://gitlab.com/api/v4';

/** Issues of the project of the integration, or of that from which the event came. */
export const gitlabTracker: Tracker = {
  async create({ title, body, labels, assignee }, context) {
    const assigneeId = assignee === undefined ? undefined : await userId(assignee, context);
    const answer = await call(context, 'POST', issues(context), {
      title,
      description: body,
      labels: labels.join(','),
      ...(assigneeId !== undefined && { assignee_ids: [assigneeId] }),
    });
    return { ...issueOf(answer.value), account: accountOf(answer.value) };
  },

  async find(mark, context) {
    const query = { scope: 'all', order_by: 'created_at', sort: 'desc', created_after: sinceFirstAttempt(context) };
    return pages(context, issues(context), query, (one) =>
      textOf(fieldsOf(one)['description'])?.includes(mark) === true ? issueOf(one) : undefined,
    );
  },

  async get(id, context) {
    const answer = await call(context, 'GET', `${issues(context)}/${encodeURIComponent(id)}`, undefined, [404]);
    return answer.status === 200 ? issueOf(answer.value) : undefined;
  },

  async comment(id, body, context) {
    const answer = await call(context, 'POST', `${issues(context)}/${encodeURIComponent(id)}/notes`, { body });
    return { commentId: idOf(fieldsOf(answer.value)['id']), account: accountOf(answer.value) };
  },

  async findComment(id, mark, context) {
    const query = { order_by: 'created_at', sort: 'desc' };
    return pages(context, `${issues(context)}/${encodeURIComponent(id)}/notes`, query, (one) => {
      const note = fieldsOf(one);
      return textOf(note['body'])?.includes(mark) === true
        ? { commentId: idOf(note['id']), account: accountOf(one) }
        : undefined;
    });
  },

  async change(id, { labels, close }, context) {
    await call(context, 'PUT', `${issues(context)}/${encodeURIComponent(id)}`, {
      ...(labels.length > 0 && { add_labels: labels.join(',') }),
      ...(close && { state_event: 'close' }),
    });
  },
};

/** The cause of an issue or a note that was made from here. */
export function causeOfIssue(payload: Json, kind: string | undefined, action: string | undefined): string | undefined {
  const attributes = fieldsOf(fieldsOf(payload)['object_attributes']);
  if (kind === 'issue' && action === 'open') return causeIn(textOf(attributes['description']));
  return kind === 'note' ? causeIn(textOf(attributes['note'])) : undefined;
}

/** Who made an issue or a note. */
const accountOf = (made: Json | undefined): string | undefined => idOf(fieldsOf(fieldsOf(made)['author'])['id']);

/** Who changed which issue. */
export function changeOfIssue(payload: Json) {
  const { user, object_attributes: attributes, issue } = fieldsOf(payload);
  const [actor, number] = [idOf(fieldsOf(user)['id']), idOf(fieldsOf(issue ?? attributes)['iid'])];
  return actor === undefined || number === undefined ? undefined : { actor, issue: number };
}

function issues({ config, event }: TrackerContext): string {
  const project = idOf(config['project']) ?? textOf(fieldsOf(event?.['repository'])['fullName']);
  if (project === undefined)
    throw misconfigured(
      'gitlab.no_project',
      'It is not known in which project. Set config.project to its id or group/name.',
    );
  return `/projects/${encodeURIComponent(project)}/issues`;
}

/** GitLab assigns by id. @throws StepError if nobody has the name. */
async function userId(name: string, context: TrackerContext): Promise<number> {
  const answer = await call(context, 'GET', `/users?${new URLSearchParams({ username: name }).toString()}`);
  const id = fieldsOf(listOf(answer.value)[0])['id'];
  if (typeof id !== 'number') throw misconfigured('gitlab.unknown_assignee', `GitLab has no user "${name}".`);
  return id;
}

function issueOf(value: Json | undefined): TrackedIssue {
  const issue = fieldsOf(value);
  const id = idOf(issue['iid']);
  if (id === undefined)
    throw new StepError({ code: 'gitlab.unreadable_answer', message: 'GitLab answered no issue.', retryable: true });
  return { id, url: textOf(issue['web_url']), isOpen: issue['state'] === 'opened' };
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
  const token = textOf(context.config['token']);
  if (token === undefined)
    throw misconfigured(
      'gitlab.no_token',
      'The integration has no token. Set config.token to an access token with the scope api.',
    );
  const base = (textOf(context.config['apiUrl']) ?? API).replace(/\/+$/, '');
  const answer = await requestJson(context, {
    service: SERVICE,
    method,
    url: `${base}${path}`,
    headers: { 'private-token': token },
    ...(body !== undefined && { body }),
  });
  const { status } = answer;
  if ((status >= 200 && status < 300) || allowed.includes(status)) return answer;
  const said = fieldsOf(answer.value);
  throw statusError(SERVICE, answer, context.now, textOf(said['message']) ?? textOf(said['error']));
}
