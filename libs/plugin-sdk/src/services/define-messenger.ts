import type { Json, JsonObject } from '#libs/kernel/src/json.js';

import type { StepHttp } from '../define-step.js';

/** A message as rules and workflows ask for it (`send_message`), its templates filled in. */
export interface OutgoingMessage {
  /** Id or name of a channel or conversation. Absent: wherever the event came from. */
  readonly channel?: string | undefined;
  readonly text: string;
  /** The message to whose thread it belongs. */
  readonly threadId?: string | undefined;
  /** The service's own layout, such as blocks of Slack or attachments of Bot Framework. */
  readonly blocks?: readonly Json[] | undefined;
  /** Set for `respond: true`: the `replyTo` of the event that led to the message. */
  readonly replyTo?: string | undefined;
  /** `data` of the event that led to the message, if it came in through the same integration. */
  readonly event?: JsonObject | undefined;
}

/** What the service said about a message that it accepted. */
export interface SentMessage {
  readonly channel?: string | undefined;
  readonly messageId?: string | undefined;
  readonly threadId?: string | undefined;
}

/** What a call to the service behind an integration is given. */
export interface SendContext {
  /** Of the integration, checked against its schema; secret values are in plain text here. */
  readonly config: JsonObject;
  /** The same for every attempt of one message, also after a crash and in another process. A UUID. */
  readonly idempotencyKey: string;
  /** When the first attempt began. */
  readonly since: Date;
  readonly now: Date;
  /** How long the attempt may take. */
  readonly timeoutMs: number;
  /** Aborts when the time is over or the process stops. */
  readonly signal: AbortSignal;
  /** The only way out: public addresses only, unless allowed; no redirects; bounded in time and size. */
  readonly http: StepHttp;
}

/** The part of a provider that sends messages. */
export interface Messenger {
  /**
   * Sends one message.
   * @throws StepError for what went wrong; `retryable` says whether another attempt may help. `mayHaveArrived` is concluded
   * from its code: see {@link Messenger.findSent}.
   */
  send?(message: OutgoingMessage, context: SendContext): Promise<SentMessage>;
  /**
   * Looks for a message that an earlier attempt may have sent: the process died, or no answer came. `undefined`: it was not
   * sent. A provider without this method sends such a message no second time; the message ends as `message.outcome_unknown`.
   * @throws StepError where it cannot be told.
   */
  findSent?(message: OutgoingMessage, context: SendContext): Promise<SentMessage | undefined>;
  /** Whether the event is a message that this integration itself sent: it is never answered. */
  isOwnMessage?(event: JsonObject): boolean;
}
