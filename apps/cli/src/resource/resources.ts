import { issueVerbs } from '../issue/issue-verbs.js';
import { deliveryVerbs, webhookVerbs } from '../delivery/delivery-verbs.js';
import { projectionVerbs } from '../projection/projection-verbs.js';
import { subscriberVerbs } from '../projection/subscriber-verbs.js';
import type { Verb } from '../nouns/verb-table.js';

/** How an option becomes a field of a request. A secret may be `-`: a line of the standard input. A time may be `never`. */
export type Kind = 'text' | 'secret' | 'number' | 'list' | 'switch' | 'json' | 'time';

/** A field that can be set: the flag `--timeout-ms` for `timeoutMs`. */
export interface Field {
  readonly name: string;
  readonly kind: Kind;
  readonly meaning: string;
  /** Name of the flag, where it is not that of the field. */
  readonly flag?: string;
}

/** A verb that is a POST below the thing, `redeliver <delivery>`, or a change of the thing itself, `enable`. */
export interface Action {
  readonly verb: string;
  readonly does: string;
  /** After the id; left out for a change. */
  readonly path?: string;
  /** What is always sent. */
  readonly body?: object;
  readonly fields?: readonly Field[];
}

/** A noun of the command line that is a resource of the API. Another one is another row. */
export interface Resource {
  readonly noun: string;
  readonly does: string;
  /** Below `/api/v1/`. */
  readonly path: string;
  readonly columns: readonly string[];
  /** Query parameters of the list. */
  readonly filters?: readonly string[];
  readonly create?: readonly Field[];
  readonly update?: readonly Field[];
  /** What `rm` does. */
  readonly remove?: { readonly does: string; readonly done: string };
  readonly view?: false;
  /** All of them come at once. */
  readonly paged?: false;
  readonly actions?: readonly Action[];
  /** Further verbs, of any kind. */
  readonly verbs?: readonly Verb[];
}

const text = (name: string, meaning: string): Field => ({ name, kind: 'text', meaning });
const secret = (name: string, meaning: string): Field => ({ name, kind: 'secret', meaning });
const list = (name: string, meaning: string): Field => ({ name, kind: 'list', meaning });
const json = (name: string, meaning: string): Field => ({ name, kind: 'json', meaning });
const flag = (name: string, meaning: string): Field => ({ name, kind: 'switch', meaning });
const number = (name: string, meaning: string): Field => ({ name, kind: 'number', meaning });

const webhook = [
  // --url is the server.
  { ...text('url', 'where deliveries go'), flag: 'to' },
  list('events', 'a type or glob such as pr.*'),
  secret('secret', 'signs deliveries; default: a new one, which is shown once; - reads it from the standard input'),
  text('format', 'platform, compact, standard or cloudevents'),
  text('filter', 'JMESPath: deliver only events for which it is true'),
  json('headers', 'more headers, as a JSON object'),
  text('signatureHeader', 'name of the hex signature header'),
  json('rateLimit', 'most requests: a number per minute, or JSON such as {"limit":10,"per":"1s"}'),
  number('timeoutMs', 'how long a receiver may take'),
  flag('allowRecursion', 'also deliver what follows from its own deliveries'),
];
const disabled = flag('disabled', 'deliver nothing');
const issue = [
  text('title', 'in one line'),
  text('body', 'Markdown'),
  text('priority', 'low, medium, high or critical'),
  list('labels', 'a label'),
  text('assignee', 'who works on it'),
  text('team', 'which team'),
];

export const resources: readonly Resource[] = [
  {
    noun: 'outbound-webhook',
    does: 'where events are delivered',
    path: 'outbound-webhooks',
    columns: ['id', 'url', 'status', 'sendCount', 'failureCount', 'lastSentAt'],
    filters: ['status'],
    create: [...webhook, flag('disabled', 'deliver nothing yet, and send no test')],
    update: [...webhook, disabled, flag('enabled', 'deliver again')],
    remove: { does: 'remove it', done: 'Removed' },
    actions: [
      { verb: 'test', does: 'send a test event to it alone', path: 'test' },
      { verb: 'enable', does: 'deliver to it again', body: { disabled: false } },
      { verb: 'disable', does: 'deliver nothing to it', body: { disabled: true } },
      {
        verb: 'rotate',
        does: 'change its secret and show the new one; for a time deliveries are signed with both',
        body: { rotateSecret: true },
        fields: [
          secret('secret', 'the new secret; default: a generated one; - reads it from the standard input'),
          number('graceSeconds', 'how long both are used; default: 86400'),
        ],
      },
      {
        verb: 'recover',
        does: 'deliver again what has failed since a time',
        path: 'recover',
        fields: [text('since', 'RFC 3339')],
      },
    ],
    verbs: webhookVerbs,
  },
  {
    noun: 'delivery',
    does: 'one event to one webhook',
    path: 'deliveries',
    columns: ['id', 'eventType', 'status', 'attempts', 'responseCode', 'nextAttemptAt', 'createdAt'],
    filters: ['webhookId', 'eventId', 'status', 'type', 'from', 'to'],
    actions: [
      { verb: 'redeliver', does: 'send the event again, as a new delivery', path: 'redeliver' },
      { verb: 'retry', does: 'the same as redeliver', path: 'redeliver' },
    ],
    verbs: deliveryVerbs,
  },
  {
    noun: 'issue',
    does: 'the built-in tracker',
    path: 'issues',
    columns: ['id', 'title', 'status', 'priority', 'assignee', 'createdAt'],
    filters: ['status', 'assignee'],
    create: issue,
    update: [...issue, text('status', 'open, in_progress, resolved or closed')],
    actions: [{ verb: 'comment', does: 'add a comment', path: 'comments', fields: [text('body', 'Markdown')] }],
    verbs: issueVerbs,
  },
  {
    noun: 'message',
    does: 'messages to chats',
    path: 'messages',
    columns: ['id', 'status', 'integration', 'channel', 'text', 'attempts', 'requestedAt'],
    filters: ['status', 'integration', 'eventId'],
    create: [
      text('integration', 'id or name of the integration that sends it'),
      text('channel', 'id or name of a channel'),
      text('text', 'what it says'),
      text('threadId', 'the message to whose thread it belongs'),
      json('blocks', 'blocks of Slack or attachments of Bot Framework, as a JSON list'),
    ],
  },
  {
    noun: 'organisation',
    does: 'organisations of the installation',
    path: 'organisations',
    columns: ['id', 'name', 'archived', 'createdAt'],
    create: [text('name', '1 to 100 characters')],
    update: [text('name', '1 to 100 characters')],
    remove: { does: 'archive it: its tokens are refused and nothing new begins; its events stay', done: 'Archived' },
    actions: [{ verb: 'restore', does: 'restore an archived one', body: { archived: false } }],
  },
  {
    noun: 'token',
    does: 'API tokens',
    path: 'tokens',
    columns: ['id', 'name', 'roles', 'expiresAt', 'lastUsedAt'],
    create: [
      text('name', 'what it is for'),
      list('roles', 'admin, designer, integrator or auditor'),
      text('expiresAt', 'RFC 3339; default: until it is revoked'),
    ],
    update: [
      text('name', 'what it is for'),
      list('roles', 'admin, designer, integrator or auditor'),
      { name: 'expiresAt', kind: 'time', meaning: 'RFC 3339, or never' },
    ],
    remove: { does: 'revoke it', done: 'Revoked' },
  },
  {
    noun: 'plugin',
    does: 'plug-ins that are loaded',
    path: 'plugins',
    columns: ['name', 'providers', 'presets', 'steps', 'actions'],
    view: false,
    paged: false,
  },
  {
    noun: 'subscriber',
    does: 'what follows the log, and how far it is',
    path: 'subscribers',
    columns: ['name', 'state', 'lag', 'parked'],
    view: false,
    paged: false,
    verbs: subscriberVerbs,
  },
  {
    noun: 'projection',
    does: 'rows that are folded from the log: rebuild and verify them',
    path: 'projections',
    columns: ['name', 'foldVersion', 'position', 'lagSeconds', 'rows', 'rebuild'],
    paged: false,
    verbs: projectionVerbs,
  },
];
