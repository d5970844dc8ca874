import { catalogue, type DataOf, type EventType, isEventType } from '#libs/events/src/catalogue.js';
import { type Cause, ENGINE, type EventMetadata, type RequestMetadata } from '#libs/events/src/envelope.js';
import type { PersonalPart } from '#libs/events/src/personal/field-path.js';
import { mayHoldExactNumbers, stringifyJson, wroteExactNumbers } from '#libs/kernel/src/text/exact-json.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import type { EventToAppend } from './event-store.js';

/** JSON text that is stored as it is: what came from outside keeps its bytes. */
export class RawJson {
  constructor(
    readonly text: string,
    /** Whether it may hold numbers that JavaScript changes. */
    readonly mayHoldExact: boolean = mayHoldExactNumbers(text),
  ) {}
}

/** What a decision returns: the fact alone. Who, when and why are added by the log library. */
export type EventDraft<T extends EventType = EventType> = {
  [K in T]: {
    readonly type: K;
    readonly data: DataOf<K>;
    /** What it is about, `thing/id`; a slice has a default. */
    readonly subject?: string;
    /** RFC 3339 UTC; default now. */
    readonly timestamp?: string;
  };
}[T];

/** What surrounds a draft when it is written. */
export interface EventContext {
  /** Random (v7) at the edge; inside subscribers derived by `uuid5` from the cause, the subscriber and an index. */
  readonly id: Uuid;
  readonly orgId: string;
  readonly actor: string;
  readonly now: Date;
  /** Absent for the first event of a story. */
  readonly cause?: Cause;
  /** What is personal in the event itself. */
  readonly personal?: readonly PersonalPart[];
  readonly subject?: string;
  readonly source?: string;
  readonly request?: RequestMetadata;
}

/** Draft and context as the log takes them. Accepts custom types and raw JSON too, for events that come from outside. */
export function newEvent(
  draft:
    | EventDraft
    | {
        readonly type: string;
        readonly data: object;
        readonly subject?: string;
        readonly timestamp?: string;
        /** Of a custom type; default 1. */
        readonly schemaVersion?: number;
      },
  context: EventContext,
): EventToAppend {
  const now = context.now.toISOString();
  const isRaw = draft.data instanceof RawJson;
  const data = isRaw ? draft.data.text : stringifyJson(draft.data);
  const exactNumbers = isRaw ? draft.data.mayHoldExact : wroteExactNumbers();
  const metadata: EventMetadata = {
    source: context.source ?? ENGINE,
    subject: draft.subject ?? context.subject ?? '',
    orgId: context.orgId,
    timestamp: draft.timestamp ?? now,
    $correlationId: context.cause?.$correlationId ?? context.id,
    ...(context.cause?.$causationId === undefined ? {} : { $causationId: context.cause.$causationId }),
    hop: context.cause?.hop ?? 0,
    ...(context.cause?.causedBy && { causedBy: context.cause.causedBy }),
    actor: context.actor,
    receivedAt: now,
    schemaVersion: versionOf(draft),
    ...(exactNumbers && { exactNumbers }),
    ...(context.cause?.personal && { personal: context.cause.personal }),
    ...(context.request === undefined ? {} : { request: context.request }),
  };
  return {
    id: context.id,
    type: draft.type,
    data,
    // eslint-disable-next-line no-restricted-syntax -- holds texts and counts alone
    metadata: JSON.stringify(metadata),
    ...(context.personal && context.personal.length > 0 && { personal: context.personal }),
  };
}

/** The version in which `data` of a type is written now. */
function versionOf(draft: { readonly type: string; readonly schemaVersion?: number }): number {
  if (!isEventType(draft.type)) return draft.schemaVersion ?? 1;
  return (catalogue[draft.type] as { version?: number }).version ?? 1;
}
