import { type Uuid, uuid5 } from '#libs/kernel/src/ids.js';

/** What the names of our streams begin with, up to the first `-`. */
const KINDS = [
  'inbound',
  'published',
  'decisions',
  'burst',
  'verdicts',
  'triggers',
  'ruleset',
  'integration',
  'watch',
  'reconciled',
  'agent',
  'execution',
  'cancelled',
  'rule',
  'workflow',
  'tick',
  'run',
  'retries',
  'answer',
  'approval',
  'webhook',
  'delivery',
  'redelivery',
  'refused',
  'exhausted',
  'action',
  'message',
  'messagerequest',
  'reply',
  'tracked',
  'trackerkey',
  'issue',
  'token',
  'organisation',
  'secret',
  'subject',
  'eventtype',
  'parked',
  'rebuild',
  'name',
  'sealed',
  'cosigned',
  'sealkey',
  'quarantine',
  'replay',
  'eventview',
  'retention',
  'truncated',
  'rerun',
] as const;
type Kind = (typeof KINDS)[number];

/** Every name is put together here, and every question about a name is answered here: nothing else spells a kind. */
const named = (kind: Kind, id: string): string => `${kind}-${id}`;
const isNamed =
  (kind: Kind) =>
  (stream: string): boolean =>
    stream.startsWith(named(kind, ''));

/**
 * Names of streams. A stream whose name is derived from its cause is an idempotency key: the second try to open it
 * loses the race and is an ordinary "already done".
 */
export const streams = {
  /** One per provider delivery, named after a UUID of integration and delivery. */
  inbound: (integrationId: string, deliveryId: string) => named('inbound', uuid5('inbound', integrationId, deliveryId)),
  isInbound: isNamed('inbound'),
  /** Events published through the API. */
  published: (orgId: string, key: string) => named('published', uuid5('published', orgId, key)),
  isPublished: isNamed('published'),
  /** Verdicts of all rules on one event, with the actions they asked for: one append, all or nothing. */
  decisions: (event: Uuid) => named('decisions', event),
  /** Also what a rule decided after a burst. */
  isDecisions: isNamed('decisions'),
  /** That a burst of matches of a rule ended with this event: once. */
  burst: (ruleId: string, last: Uuid) => named('burst', uuid5('burst', ruleId, last)),
  /** What a rule that waited for the end of a burst decided about its last event. */
  afterBurst: (ruleId: string, last: Uuid) => named('decisions', uuid5('after-burst', ruleId, last)),
  /** Verdicts on the events of a range of the log by which no rule asked for anything. */
  verdicts: (orgId: string, range: bigint) => named('verdicts', `${orgId}-${range}`),
  /** Decisions of triggers on the events of a range of the log, where they started no run. */
  triggers: (orgId: string, range: bigint) => named('triggers', `${orgId}-${range}`),
  /** That a burst or batch of a trigger ended with this event: once. */
  groupEnd: (workflowId: string, last: string) => named('triggers', uuid5('group-end', workflowId, last)),
  /** Decisions on the events of such a group. */
  afterGroup: (workflowId: string, last: string) => named('triggers', uuid5('after-group', workflowId, last)),
  /** A set of rules, by its name. */
  ruleSet: (name: string) => named('ruleset', name),
  integration: (id: string) => named('integration', id),
  /** When an integration fell silent and was heard of again: even revisions and odd ones. */
  watch: (integrationId: string) => named('watch', integrationId),
  /** What became of asking the sender for what it has delivered. */
  reconciled: (integrationId: string) => named('reconciled', integrationId),
  agent: (id: string) => named('agent', id),
  /** All that happens to an execution; it begins with the request where a webhook or a person made it. */
  execution: (id: string) => named('execution', id),
  isExecution: isNamed('execution'),
  /** Where versions without runtimes recorded that an execution was cancelled. */
  cancelled: (executionId: string) => named('cancelled', executionId),
  rule: (id: string) => named('rule', id),
  workflow: (id: string) => named('workflow', id),
  /** That the time of a schedule came, or that times up to it were skipped: once. */
  tick: (workflowId: string, trigger: string, time: string) => named('tick', uuid5('tick', workflowId, trigger, time)),
  run: (id: string) => named('run', id),
  isRun: isNamed('run'),
  /** A request to retry many runs, and how far it is. */
  bulkRetry: (id: string) => named('retries', id),
  /** The event that answered a wait of a run: once. */
  answer: (wait: Uuid) => named('answer', wait),
  /** Votes on what a run wants to have approved, and the decision. */
  approval: (request: Uuid) => named('approval', request),
  webhook: (id: string) => named('webhook', id),
  /** One per delivery (one event to one webhook); revisions 2n and 2n + 1 hold attempt n + 1 and its outcome. */
  delivery: (id: string) => named('delivery', id),
  isDelivery: isNamed('delivery'),
  /** A redelivery asked for by hand, by the id of the new delivery. */
  redelivery: (id: string) => named('redelivery', id),
  /** What a subscriber did not carry out, by the event that asked for it. */
  refused: (subscriber: string, event: Uuid) => named('refused', uuid5('refused', subscriber, event)),
  /** That a story has used up its budget: once. */
  exhausted: (correlation: Uuid) => named('exhausted', correlation),
  /** What became of a request for an action of a plug-in: revision n holds the outcome of attempt n + 1. */
  action: (request: Uuid) => named('action', request),
  /** What became of a request for a message: revisions 2n and 2n + 1 hold the beginning of attempt n + 1 and its outcome. */
  message: (request: Uuid) => named('message', request),
  isMessage: isNamed('message'),
  /** A message that a person or program requested through the API, by the id of the request. */
  messageRequest: (request: Uuid) => named('messagerequest', request),
  isMessageRequest: isNamed('messagerequest'),
  /** Which messages answered an event at its own address: a few are allowed. */
  reply: (event: string) => named('reply', event),
  /** What became of a request for an issue in a tracker outside: as for messages. */
  tracked: (request: Uuid) => named('tracked', request),
  /** Which requests had a dedupe key of a tracker outside, one after the other. */
  trackerKey: (integrationId: string, key: string) => named('trackerkey', uuid5('trackerkey', integrationId, key)),
  issue: (id: string) => named('issue', id),
  token: (id: string) => named('token', id),
  organisation: (id: string) => named('organisation', id),
  /** Erasures of a person, by the hash of the id. */
  subject: (orgId: string, hash: string) => named('subject', uuid5('subject', orgId, hash)),
  /** A secret of an organisation. */
  secret: (id: string) => named('secret', id),
  /** An event type of an organisation. */
  eventType: (id: string) => named('eventtype', id),
  /** Who may have a name that only one thing of its kind can have. */
  name: (kind: string, scope: string, name: string) => named('name', uuid5('name', kind, scope, name)),
  /** The checkpoints of a tree over the log, one after the other. */
  seals: (tree: string) => named('sealed', tree),
  /** What a witness signed of the checkpoints of a tree. */
  cosignatures: (tree: string) => named('cosigned', tree),
  /** Each revision is a change of the key that signs them. */
  sealKeys: () => named('sealkey', 'all'),
  /** Whether an event is in quarantine. */
  quarantine: (event: Uuid) => named('quarantine', event),
  /** The life of a replay. */
  replay: (id: string) => named('replay', id),
  /** A saved search of the log. */
  eventView: (id: string) => named('eventview', id),
  /** How long an organisation keeps things. */
  retention: (orgId: string) => named('retention', orgId),
  /** What was removed from the log since, slice by slice. */
  truncated: (orgId: string) => named('truncated', orgId),
  /** What a replay let rules and workflows do about an event: once. */
  rerun: (replayId: string, event: Uuid) => named('rerun', uuid5('rerun', replayId, event)),
  parked: (subscriber: string) => named('parked', subscriber),
  /** Requests to rebuild a projection and their ends, by turns. */
  rebuilds: (projection: string) => named('rebuild', projection),
  /** The UUID that an inbound or published stream is named after. */
  uuidIn: (stream: string): Uuid => stream.slice(-36),
} as const;

/** What the names of these kinds of streams begin with. */
export const prefixesOf = (...of: readonly Kind[]): readonly string[] => of.map((kind) => named(kind, ''));

/** Ids of the things of one kind in whose streams the events are, each once. */
export const idsInStreams = (
  isOfKind: (stream: string) => boolean,
  events: readonly { readonly stream: string }[],
): readonly string[] => [
  ...new Set(events.flatMap(({ stream }) => (isOfKind(stream) ? [stream.slice(stream.indexOf('-') + 1)] : []))),
];

/** How the stored names of all our streams begin, unless the operator says otherwise. */
export const DEFAULT_STREAM_PREFIX = 'millrace.';

const ours = KINDS.join('|');
const OURS = new RegExp(`^(?:${ours})-`);
const OURS_LATER = new RegExp(`(?:${ours})-`);

/**
 * Whether the rest of a stored name, after our prefix, belongs to an installation whose prefix is a longer one: `millrace.`
 * and `millrace.test.` on one server keep apart.
 */
export const isOfLongerPrefix = (rest: string): boolean => !OURS.test(rest) && OURS_LATER.test(rest);

/** It ends with no letter: else the beginning of a kind of stream could be taken for the end of a prefix. */
const PREFIX = /^(?:(?=[A-Za-z0-9])[A-Za-z0-9._:-]{0,63}[0-9._:-])?$/;

/** Whether stream names may begin so. The empty text is allowed: then this installation has the server to itself. */
export const isStreamPrefix = (text: string): boolean => PREFIX.test(text) && !OURS_LATER.test(text);
