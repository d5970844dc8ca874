import { derivedId, PREFIXES, publicId, type Uuid, uuidOf } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

/**
 * What programs outside see of an event: the shape of REST answers, of webhook bodies and of the scope of every
 * expression. `timestamp` is RFC 3339 UTC: when the thing happened if the source says so, else when it was received.
 */
export interface PlatformEvent<Data = JsonObject> {
  /** `evt_` and 26 characters over the UUID under which the log keeps the event. */
  readonly id: string;
  readonly type: string;
  /** Where it comes from: a provider (`github`), or `millrace` for what the engine itself records. */
  readonly source: string;
  /** What it is about: `repository/acme/app`, `webhook/whk_…`. */
  readonly subject: string;
  readonly orgId: string;
  readonly timestamp: string;
  readonly data: Data;
}

/** Beside every event in the log. Written by the log library alone; the `$` names are those that EventStoreDB knows. */
export interface EventMetadata {
  readonly source: string;
  readonly subject: string;
  readonly orgId: string;
  readonly timestamp: string;
  /** UUID of the first event of the story; every event that follows from it carries the same. */
  readonly $correlationId: Uuid;
  /** UUID of the event that directly caused this one. */
  readonly $causationId?: Uuid;
  /** Number of causes before this event. Beyond {@link MAX_HOPS} an action is refused: no loop is endless. */
  readonly hop: number;
  /**
   * Ids of the rules, workflows and webhooks on the way from the first event of the story to this one, each once, in the
   * order in which they acted. None of them acts on the event, unless it allows recursion.
   */
  readonly causedBy?: readonly string[];
  /** Who: `token/tok_…`, `integration/int_…`, `rule/rul_…`, `run/run_…`, `millrace`. */
  readonly actor: string;
  /** When the event reached this system, whatever its `timestamp` says. */
  readonly receivedAt: string;
  readonly schemaVersion: number;
  /** `data` holds numbers that JavaScript would change: it is read exactly. */
  readonly exactNumbers?: true;
  /**
   * Names of the keys, sorted, under which parts of `data` are encrypted: of everybody of whom the event, or one that it
   * follows from, has personal fields.
   */
  readonly personal?: readonly string[];
  /** Inbound only: how the request came in. Never holds a secret. */
  readonly request?: RequestMetadata;
}

const TEXTS = ['source', 'subject', 'orgId', 'timestamp', '$correlationId', 'actor'] as const;
const NUMBERS = ['hop', 'schemaVersion'] as const;

/** Whether something has what every reader of metadata relies on: others may have written to our streams. */
export const isEventMetadata = (value: object): value is EventMetadata =>
  TEXTS.every((name) => typeof (value as Partial<EventMetadata>)[name] === 'string') &&
  NUMBERS.every((name) => Number.isSafeInteger((value as Partial<EventMetadata>)[name]));

export interface RequestMetadata {
  /** Lower-case names; only those that a provider declares as worth keeping. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the raw body, hex. */
  readonly bodySha256: string;
  /** How the request was authenticated: `hmac-sha256`, `bearer`, `slug` … */
  readonly authentication: string;
  readonly sourceIp: string;
  /** The sender's own count of retries, where it announces one. */
  readonly retry?: string;
  /** Where the sender takes an answer to this request: encrypted, and shown to nobody. */
  readonly replyTo?: SealedText;
}

/** A text under a key of the installation; `sealed` is base64. */
export interface SealedText {
  readonly keyId: string;
  readonly sealed: string;
}

/** What the cause in the mark of an issue is encrypted for. */
export const causeBelongsTo = (orgId: string): readonly string[] => ['cause', orgId];

/** What the address for an answer is encrypted for. */
export const replyBelongsTo = (integrationId: string): readonly string[] => ['reply', integrationId];

export const MAX_HOPS = 16;

/** The organisation of everything that names no other: of the bootstrap token, and of what the operator configures. */
export const DEFAULT_ORG = derivedId('org', 'default');

/** The `source` of everything that the engine itself records. */
export const ENGINE = 'millrace';

export const eventIdOf = (uuid: Uuid): string => publicId(PREFIXES.event, uuid);
/** The execution that an agent's webhook leads to has the UUID of the event: the sender knows its id at once. */
export const executionIdOf = (event: Uuid): string => publicId(PREFIXES.execution, event);
/** The run that an event leads to: one for each workflow, whatever is restarted or sent twice. */
export const runIdOf = (workflowId: string, event: Uuid): string => derivedId('run', 'run', workflowId, event);
/** The execution that an `agent.requested` asks for. */
export const requestedExecutionId = (request: {
  readonly id: Uuid;
  readonly data: { readonly executionId?: string };
}): string => request.data.executionId ?? executionIdOf(request.id);
export const eventUuidOf = (id: string): Uuid | undefined => uuidOf(PREFIXES.event, id);

/**
 * What an event caused by `cause` inherits: the correlation, the causation, the hop and the path of causes.
 * @param by the rule, workflow or webhook that acts.
 */
export function causedBy(cause: { readonly id: Uuid; readonly metadata: EventMetadata }, by?: string): Cause {
  const { $correlationId, hop, personal } = cause.metadata;
  return {
    $correlationId,
    $causationId: cause.id,
    hop: hop + 1,
    ...actedBy(cause.metadata.causedBy, by),
    ...(personal && { personal }),
  };
}

/** The keys of several events together: what is made of them needs all of them. */
export function personalOf(
  ...sources: readonly { readonly personal?: readonly string[] | undefined }[]
): Pick<EventMetadata, 'personal'> {
  const keys = new Set(sources.flatMap(({ personal = [] }) => personal));
  return keys.size === 0 ? {} : { personal: [...keys].sort() };
}

/** A path of causes with one more that acts. */
export function actedBy(path: readonly string[] = [], by?: string): Pick<EventMetadata, 'causedBy'> {
  const next = by === undefined || path.includes(by) ? path : [...path, by];
  return next.length === 0 ? {} : { causedBy: next };
}

/** Whether the event follows from what this rule, workflow or webhook did. */
export const followsFrom = (id: string, { causedBy = [] }: Pick<EventMetadata, 'causedBy'>): boolean =>
  causedBy.includes(id);

/** The reason of a refusal, and its words: who did something never acts on what follows from it by itself. */
export const FOLLOWS_FROM_ITSELF = 'follows-from-itself';
export const followsFromItself = (who: string): string =>
  `The event follows from what the ${who} itself did. Set allowRecursion: true to act on such events too, up to ${MAX_HOPS} causes deep.`;

export type Cause = Pick<EventMetadata, '$correlationId' | '$causationId' | 'hop' | 'causedBy' | 'personal'>;
