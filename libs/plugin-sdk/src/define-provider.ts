import type { Json, JsonObject } from '#libs/kernel/src/json.js';

import type { Messenger } from './services/define-messenger.js';
import type { PersonalList } from './services/personal-list.js';
import type { Tracker } from './services/define-tracker.js';
import type { StepHttp } from './define-step.js';
import type { Preset } from './scheme/define-preset.js';

/** A request as it came in, before anything of it is believed. */
export interface InboundRequest {
  /**
   * Lower-case names; a header sent several times has its values joined by `, `. Each character is one byte, as Node reads
   * them: hold a secret against one with `holdsSecret`.
   */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Exactly the bytes that were sent: what signatures are made over. */
  readonly rawBody: Buffer;
  readonly query: Readonly<Record<string, string>>;
  /** Media type in lower case without parameters (`application/json`); empty if none was sent. */
  readonly contentType: string;
  /** Address of the sender, as seen through trusted proxies. */
  readonly sourceIp: string;
  /** Absent: `POST`. */
  readonly method?: string;
  /** Path and query exactly as they came: `/api/v1/webhooks/inbound/wh_1?a=%20`. Absent where they are not known. */
  readonly target?: string;
}

/** What the person who set the integration up has entered. */
export interface ProviderContext {
  /** Valid secrets, the newest first; several during a rotation, so try them all. Empty if none is configured. */
  readonly secrets: readonly string[];
  /** Checked against {@link Provider.config} when saved; secret values are in plain text here. */
  readonly config: JsonObject;
  readonly now: Date;
  /** The way out, for a scheme whose public keys are fetched: public addresses, no redirects, bounded. Absent without a network. */
  readonly http?: StepHttp | undefined;
  /** How the outside reaches this server, without a final slash: for senders that sign the URL. */
  readonly publicUrl?: string | undefined;
  /** Whether events of a type may be given: {@link isInboundType}, or one of the organisation's own. Absent in tests. */
  readonly isKnownType?: ((type: string) => boolean) | undefined;
  /** Secrets of earlier rotations that are no longer valid: to tell the owner why a saved request fails. Never believed. */
  readonly expiredSecrets?: readonly string[] | undefined;
}

/**
 * Why a request was refused. The sender reads a text made from it, and refusals are counted by it, so it is one of these
 * words and never holds anything of the request.
 *
 * - `signature_missing`: no signature, token or header where the scheme wants one
 * - `signature_malformed`: there is one, but it cannot be a signature of this scheme
 * - `signature_mismatch`: it is well-formed and made with none of the secrets
 * - `stale`: correctly signed, but the timestamp is outside the tolerance
 * - `unavailable`: it cannot be checked now, since keys cannot be fetched; the sender is asked to try again
 */
export type RefusalReason =
  'signature_missing' | 'signature_malformed' | 'signature_mismatch' | 'stale' | 'unavailable';

export type Verdict =
  /** `authentication` is recorded with the event: `hmac-sha256`, `bearer`, `jwt`, or `slug` when no secret is set. */
  | { readonly ok: true; readonly authentication: string }
  /** `detail` is for the log of the server, not for the sender: why keys cannot be fetched. Holds no secret. */
  | {
      readonly ok: false;
      readonly reason: RefusalReason;
      readonly detail?: string;
      /** What this integration wants, where it differs from {@link Provider.wants}. */
      readonly wants?: string;
      /** Value of `WWW-Authenticate` in the answer. */
      readonly challenge?: string;
    };

/** What becomes of a request with which a sender checks the address. Nothing of it is stored as an event. */
export type HandshakeOutcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly contentType?: string;
      readonly body: string;
    }
  /** The sender offers its secret. It is kept if none is there yet, or an administrator has opened the integration for it. */
  | {
      readonly kind: 'adopt';
      readonly secret: string;
      readonly headers?: Readonly<Record<string, string>>;
      /** Administrators may read it until the first event: it has to be entered on the sender's screen. */
      readonly shown?: boolean;
    }
  /** A subscription is confirmed by opening an address: at once where it is surely the sender's, else by its owner. */
  | { readonly kind: 'confirm'; readonly url: string; readonly isSafe: boolean }
  /** The sender is not who it says. */
  | { readonly kind: 'unproved'; readonly verdict: Extract<Verdict, { ok: false }> }
  | { readonly kind: 'refused'; readonly status: 400 | 403; readonly detail: string };

/** Why a saved request is refused, for the owner of the integration: names and lengths, never values. */
export interface Explanation {
  /** `header`, `signature`, `timestamp`, `bodyHash`, `claims`, `field` or `handshake`. Absent: nothing failed. */
  readonly failed?: string;
  readonly wants: string;
  /** Headers that came, with the length of each. */
  readonly found: Readonly<Record<string, number>>;
  /** What would have made it fit. */
  readonly hints: readonly string[];
}

/** A request that is signed again: schemes that sign the URL or a field of the body change these too. */
export interface SignedRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly rawBody?: Buffer;
  /** Path and query. */
  readonly target?: string;
}

/**
 * What the platform has made of the body: the value of a JSON body (`{}` for an empty one), of the JSON in the field
 * `payload` of a form, an object of the fields of any other form, one line of an NDJSON body, or one element of a batch of
 * CloudEvents (`normalise` is then called once a line or element; those with the same delivery id are one delivery). A body
 * of another type is `{ text }` or `{ base64 }`, for providers with `anyBody`.
 */
export interface InboundBody {
  readonly value: Json;
  readonly kind: 'json' | 'form' | 'ndjson' | 'batch' | 'text' | 'bytes';
  readonly request: InboundRequest;
  /** Number of the element, from 0, where the body was taken apart by {@link Provider.elements}. */
  readonly index?: number;
}

/** One thing that happened, in the words of the platform. */
export interface NormalisedEvent {
  /** A type of the catalogue that may come from outside, such as `git.push`; any other becomes `webhook.received`. */
  readonly type: string;
  /** What it is about, `kind/name`: `repository/acme/app`. */
  readonly subject: string;
  /** When it happened, if the sender says so: RFC 3339 or milliseconds since 1970. Anything else is passed over. */
  readonly timestamp?: string | number | undefined;
  /**
   * Neutral fields of the type (`repository`, `branch` …). The platform adds `provider`, `eventType`, `action`,
   * `deliveryId`, `sourceIp` and `payload`. What does not satisfy the schema of the type is recorded as
   * `webhook.received`, so that nothing is lost.
   */
  readonly data: JsonObject;
}

export interface Normalised {
  /** The sender's own id of this delivery: the same id is recorded once, without a time limit. Absent: every request is new. */
  readonly deliveryId?: string | undefined;
  /**
   * What `deliveryId` names, where one request has several lines or elements. `delivery` (default): a delivery, and all
   * elements with this id are parts of it. `event`: the event itself, as in CloudEvents, and an element with the same id
   * is the same event again.
   */
  readonly idOf?: 'delivery' | 'event' | undefined;
  /** The sender's own name of the event: `pull_request`. */
  readonly eventType: string;
  /** What of it, where the sender says so: `opened`. */
  readonly action?: string | undefined;
  /** The sender's own count of retries, where it announces one. */
  readonly retry?: string | undefined;
  /** Usually one. None: nothing is recorded, as for the challenge with which some senders check a URL. */
  readonly events: readonly NormalisedEvent[];
  /** `source` of the events, where that is not the provider. */
  readonly source?: string | undefined;
  /** What is stored in place of the body, where that holds a proof that must not be. */
  readonly payload?: Json | undefined;
  /** A URL that takes an answer to this request, for `send`. Kept encrypted and shown to nobody; leave it out of `payload`. */
  readonly replyTo?: string | undefined;
  /** What `causeIn` found in a new issue or comment: the events follow from what we did. */
  readonly cause?: string | undefined;
  /** Who changed which issue, as the tracker names them: what our own account has just changed follows from what we did. */
  readonly doneBy?: { readonly actor: string; readonly issue: string } | undefined;
}

/**
 * The sender is believed and what it sent is not what it says: a field is missing that this kind of message cannot be
 * without. The request is refused with 400 and this text, which says what to send and holds nothing of the request.
 */
export interface Unreadable {
  readonly unreadable: string;
}

/** What became of the request. */
export interface Receipt {
  /** `evt_…`, one delivery after the other, in each in the order of its events. */
  readonly eventIds: readonly string[];
  /** All of it had been recorded before; `eventIds` are those of then. */
  readonly duplicate: boolean;
}

export interface Answer {
  /** 200 to 299: by then everything is stored. */
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How the sender was asked to send one delivery again. */
export interface Asked {
  readonly times: number;
  /** The last time. */
  readonly last: Date;
}

/** What {@link Reconcile.run} is given beside what every method is. */
export interface ReconcileContext extends ProviderContext {
  readonly http: StepHttp;
  /** What the sender delivered before is of no interest any more. */
  readonly since: Date;
  /** Which of these delivery ids are in the log. */
  seen(deliveryIds: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * How often in the last three days the sender was asked to send each of these again, and when; what it was not asked for
   * is left out. What it sends again and is refused here, or cannot get through, is asked for less and less often.
   */
  asked(deliveryIds: readonly string[]): Promise<ReadonlyMap<string, Asked>>;
  /** Aborts when the process stops. */
  readonly signal: AbortSignal;
}

/** What the sender says that it delivered, held against the log. */
export interface Reconciliation {
  /** Deliveries that the sender names since then. */
  readonly checked: number;
  /** Those that never arrived: at most 1000, what was asked for among them. */
  readonly missing: readonly {
    readonly deliveryId: string;
    readonly eventType: string;
    /** The sender took the request to send it again. */
    readonly requested: boolean;
    /** The sender refused to send it again. It counts as asked. */
    readonly refused?: boolean;
  }[];
  /** More is missing than was asked for this time: the next look goes back as far as this one. */
  readonly more?: boolean;
  /** When the oldest delivery was made that is missing and may yet come: the next look goes back as far, at most three days. */
  readonly openSince?: Date;
  /** Why it could not be gone through to the end. */
  readonly failure?: {
    /**
     * `unauthorised`, `not_found`, `rate_limited`, `unreachable`, `http.500` … The next look goes back as far as this one.
     * Not so after `too_many`: the sender names more than can be looked at, and what lies beyond is given up.
     */
    readonly code: string;
    /** For a person: what to do. Holds no secret. */
    readonly detail: string;
    /** Ask no sooner. */
    readonly retryAfterMs?: number;
  };
}

/** For senders that can be asked what they have delivered, and to do so again. */
export interface Reconcile {
  /** Keys of `config` without which the sender cannot be asked. */
  readonly needs: readonly string[];
  /**
   * Asks the sender for what it has delivered, finds what the log never saw, and asks for it again. Safe twice: a
   * delivery that comes again is a duplicate. What the sender does wrong is a `failure`, not an error.
   */
  run(context: ReconcileContext): Promise<Reconciliation>;
}

/**
 * The code that understands one kind of sender. Everything here is pure but for `verify`, which may fetch public keys.
 * The platform does the rest: addresses, limits, parsing, dedupe, storing, counting, answering.
 *
 * ```ts
 * export default definePlugin({
 *   name: 'acme-monitor', sdk: 1,
 *   providers: [defineProvider({
 *     name: 'acme_monitor',
 *     description: 'Alerts of Acme Monitor.',
 *     keepHeaders: ['x-acme-event'],
 *     verify: (request, context) => verifyHmac(request, context, { header: 'x-acme-signature', prefix: 'sha256=' }),
 *     normalise: ({ value, request }) => ({
 *       deliveryId: request.headers['x-acme-id'],
 *       eventType: request.headers['x-acme-event'] ?? 'alert',
 *       events: [{ type: 'webhook.received', subject: 'monitor/acme', data: {} }],
 *     }),
 *   })],
 * });
 * ```
 */
export interface Provider extends Messenger, PersonalList {
  /** What integrations name: lower case, digits and `_`, 2 to 40 characters, beginning with a letter. Never changes. */
  readonly name: string;
  /** One sentence for people. */
  readonly description: string;
  /**
   * What proves that a request is genuine, as a noun phrase: `X-Acme-Signature: v1= and 64 hex digits, the HMAC-SHA256 of
   * the raw body`. A sender without a proof or with a malformed one reads it.
   */
  readonly wants?: string;
  /** What `config` of an integration may hold. Absent: nothing. */
  readonly config?: ProviderConfig;
  /**
   * Why a secret cannot be one of this scheme, asked when an integration is created or its secret rotated; `undefined` if it
   * can. For the person who sent it: says what to send, and holds nothing of the secret.
   */
  checkSecret?(secret: string, config: JsonObject): string | undefined;
  /** Lower-case names of headers worth keeping with the event. Never name one that holds a secret or a signature. */
  readonly keepHeaders?: readonly string[];
  /**
   * Whether bodies of any type are read: one that is neither JSON, a form nor NDJSON is given as `{ "text": … }`, or as
   * `{ "base64": … }` where it is no text. Default false: JSON of any type is read, and everything else answered with 415.
   */
  readonly anyBody?: boolean;
  /** A chat: it is also received at `/api/communicator/webhook/{id}`, where what is stored is answered with an empty 200. */
  readonly communicator?: boolean;
  /**
   * Set where nothing is received this way: every request is answered with 405 and this text, which says where to go
   * instead.
   */
  readonly refusesInbound?: string;
  /**
   * Whether the request is from whom it says, by its raw bytes. Compare with `timingSafeEqual`, try all secrets, and
   * check the scheme's timestamp, if it has one, with `withinTolerance`. With no secret configured the unguessable URL
   * alone authenticates: `{ ok: true, authentication: 'slug' }`, unless the scheme works without a secret.
   */
  verify(request: InboundRequest, context: ProviderContext): Verdict | Promise<Verdict>;
  /**
   * What happened. Given whatever JSON a sender that knows the secret may send: any field may be missing or of another
   * type. Never throws for it; what is not understood becomes `webhook.received`, and what breaks the rules of its own format
   * is {@link Unreadable}.
   */
  normalise(body: InboundBody, context: ProviderContext): Normalised | Unreadable;
  /**
   * What the sender expects to read, where that is not the platform's own 202. Called after everything is stored, and
   * for a body of which nothing was to be stored. Absent or `undefined`: `{ "eventIds": […], "duplicate": … }`.
   */
  respond?(body: InboundBody, receipt: Receipt, context: ProviderContext): Answer | undefined;
  /**
   * The headers of the answer to OPTIONS, by which some senders ask whether they may deliver. `undefined`: 405, as without
   * this method. Nothing is verified before and nothing is stored.
   * @param perMinute the integration's rate limit, in requests a minute.
   */
  preflight?(request: InboundRequest, perMinute: number | undefined): Readonly<Record<string, string>> | undefined;
  /** Whether the body is JSON whatever its content type says. */
  readsJson?(context: ProviderContext): boolean;
  /** Names of headers, in lower case, that prove the requests of this integration: they are not kept with events. */
  proofHeaders?(config: JsonObject): readonly string[];
  /**
   * The events in a body of JSON, each of them normalised by itself. `undefined`: the body is one. An empty list: nothing
   * is recorded, and the request is answered with success.
   */
  elements?(value: Json, context: ProviderContext): readonly Json[] | undefined;
  /**
   * The answer to a request with which the sender checks the address, before it is verified like any other; `undefined`
   * for every other request. May be asked with GET and HEAD as well.
   */
  handshake?(
    request: InboundRequest,
    context: ProviderContext,
  ): HandshakeOutcome | undefined | Promise<HandshakeOutcome | undefined>;
  /**
   * What is wrong with an integration beyond the schema of its `config`. Pointers begin at the integration:
   * `/config/verify/signed`, `/secret`.
   * @param hasSecret `undefined` where it is not known or does not change.
   */
  checkIntegration?(
    config: JsonObject,
    hasSecret: boolean | undefined,
  ): readonly { readonly pointer: string; readonly detail: string }[];
  /** How the integration is verified, for its owner: without secrets. */
  described?(config: JsonObject): JsonObject | undefined;
  /** Why a request is refused, for the owner of the integration. */
  explain?(request: InboundRequest, context: ProviderContext): Promise<Explanation>;
  /** The provider for senders of a preset. */
  withPreset?(preset: Preset): Provider;
  /** Finds what the sender delivered and the platform never saw. */
  readonly reconcile?: Reconcile;
  /** Opens issues, for `create_issue` with `tracker`. */
  readonly tracker?: Tracker;
  /**
   * Headers with which a sender that knows the first secret would send these bytes at `context.now`. A replay of a
   * saved request is signed with them, and the test kit proves with them that `verify` looks at every byte. They are texts,
   * and are sent in UTF-8.
   */
  sign?(
    request: Pick<InboundRequest, 'headers' | 'rawBody'>,
    context: ProviderContext,
  ): Readonly<Record<string, string>>;
  /** The same for schemes that sign the URL or change the body. Asked before {@link Provider.sign}; `undefined`: not of use here. */
  signRequest?(
    request: InboundRequest,
    context: ProviderContext,
  ): SignedRequest | undefined | Promise<SignedRequest | undefined>;
}

export interface ProviderConfig {
  /** JSON Schema of each key. Other keys are refused when an integration is saved. */
  readonly properties: Readonly<Record<string, JsonObject>>;
  readonly required?: readonly string[];
  /** Keys whose values are kept encrypted and never shown again. Their type is string. */
  readonly secrets?: readonly string[];
}

/** Types a provider; returns it unchanged. */
export const defineProvider = (provider: Provider): Provider => provider;
