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
  /** Number of causes before this event. Beyond {@link MAX_HOPS} an action is refused: no loop can run for ever. */
  readonly hop: number;
  /**
   * Webhooks whose failed deliveries this event follows from, so that news of a failure does not go to whoever fails.
   */
  readonly afterFailureOf?: readonly string[];
  /** Who: `token/tok_…`, `integration/int_…`, `rule/rul_…`, `run/run_…`, `millrace`. */
  readonly actor: string;
  readonly receivedAt: string;
  readonly schemaVersion: number;
  /** `data` holds numbers that JavaScript would change: it is read exactly. */
  readonly exactNumbers?: true;
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
}

export const MAX_HOPS = 16;

/** The organisation of everything that names no other: of the bootstrap token, and of what the operator configures. */
export const DEFAULT_ORG = derivedId('org', 'default');

/** The `source` of everything that the engine itself records. */
export const ENGINE = 'millrace';

export const eventIdOf = (uuid: Uuid): string => publicId(PREFIXES.event, uuid);
/** The execution that an agent's webhook leads to has the UUID of the event: the sender knows its id at once. */
export const executionIdOf = (event: Uuid): string => publicId(PREFIXES.execution, event);
/** The execution that an `agent.requested` asks for. */
export const requestedExecutionId = (request: {
  readonly id: Uuid;
  readonly data: { readonly executionId?: string };
}): string => request.data.executionId ?? executionIdOf(request.id);
export const eventUuidOf = (id: string): Uuid | undefined => uuidOf(PREFIXES.event, id);

/** What an event caused by `cause` inherits: the correlation, the causation and the hop. */
export function causedBy(cause: { readonly id: Uuid; readonly metadata: EventMetadata }): Cause {
  const { $correlationId, hop, afterFailureOf } = cause.metadata;
  return { $correlationId, $causationId: cause.id, hop: hop + 1, ...(afterFailureOf && { afterFailureOf }) };
}

export type Cause = Pick<EventMetadata, '$correlationId' | '$causationId' | 'hop' | 'afterFailureOf'>;
