/** How an option becomes a field of a request: a text, a number, a list of texts, a switch, or JSON. */
export type Kind = 'text' | 'number' | 'list' | 'switch' | 'json';

/** A field that can be set: the flag `--timeout-ms` for `timeoutMs`. */
export interface Field {
  readonly name: string;
  readonly kind: Kind;
  readonly meaning: string;
  /** Name of the flag, where it is not that of the field. */
  readonly flag?: string;
}

/** A verb that is a POST below the thing: `redeliver <delivery>`. */
export interface Action {
  readonly verb: string;
  readonly does: string;
  /** After the id. */
  readonly path: string;
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
  readonly remove?: true;
  readonly view?: false;
  /** All of them come at once. */
  readonly paged?: false;
  readonly actions?: readonly Action[];
}

const text = (name: string, meaning: string): Field => ({ name, kind: 'text', meaning });
const list = (name: string, meaning: string): Field => ({ name, kind: 'list', meaning });
const json = (name: string, meaning: string): Field => ({ name, kind: 'json', meaning });
const flag = (name: string, meaning: string): Field => ({ name, kind: 'switch', meaning });
const number = (name: string, meaning: string): Field => ({ name, kind: 'number', meaning });

const webhook = [
  // --url is the server.
  { ...text('url', 'where deliveries go'), flag: 'to' },
  list('events', 'a type or glob such as pr.*'),
  text('secret', 'with which deliveries are signed'),
  text('format', 'platform, compact, standard or cloudevents'),
  text('filter', 'JMESPath: deliver only events for which it is true'),
  json('headers', 'more headers, as a JSON object'),
  text('signatureHeader', 'name of the hex signature header'),
  number('timeoutMs', 'how long a receiver may take'),
];
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
    create: webhook,
    update: [...webhook, flag('disabled', 'deliver nothing'), flag('enabled', 'deliver again')],
    remove: true,
    actions: [
      { verb: 'test', does: 'send a test event to it alone', path: 'test' },
      {
        verb: 'recover',
        does: 'deliver again what has failed since a time',
        path: 'recover',
        fields: [text('since', 'RFC 3339')],
      },
    ],
  },
  {
    noun: 'delivery',
    does: 'one event to one webhook',
    path: 'deliveries',
    columns: ['id', 'eventType', 'status', 'attempts', 'responseCode', 'createdAt'],
    filters: ['webhookId', 'status', 'type'],
    actions: [{ verb: 'redeliver', does: 'send the event again', path: 'redeliver' }],
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
  },
  {
    noun: 'message',
    does: 'messages that are not sent yet',
    path: 'actions?type=send_message',
    columns: ['id', 'eventId', 'details', 'requestedAt'],
    view: false,
  },
  {
    noun: 'organisation',
    does: 'organisations of the installation',
    path: 'organisations',
    columns: ['id', 'name', 'createdAt'],
    create: [text('name', '1 to 100 characters')],
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
    remove: true,
  },
  {
    noun: 'subscriber',
    does: 'what follows the log, and how far it is',
    path: 'subscribers',
    columns: ['name', 'state', 'lag', 'parked'],
    view: false,
    paged: false,
  },
];
