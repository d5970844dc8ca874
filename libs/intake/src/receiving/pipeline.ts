import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { eventIdOf, executionIdOf } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf, Rejected, Transient } from '#libs/kernel/src/errors.js';
import type {
  Explanation,
  HandshakeOutcome,
  InboundRequest,
  Provider,
  ProviderContext,
  Receipt,
} from '#libs/plugin-sdk/src/define-provider.js';

import type { GiveBack } from '../agent-webhook/places.js';
import type { HandshakeChanges } from '../handshake/handshake-changes.js';
import { networkOf } from '../integration/addresses.js';
import type { Counters } from '../integration/counters.js';
import type { Receiver } from '../integration/integration.table.js';
import { RateLimiter } from '../integration/rate-limiter.js';
import type { RefusedRequests } from '../refused/refused-requests.js';
import type { Accepted } from './provider-output.js';
import { answerHandshake } from './answer-handshake.js';
import {
  type Delivery,
  interpretRequest,
  type InterpretedRequest,
  type InterpreterParts,
} from './interpret-request.js';
import { moreThan } from './more-than.js';
import { answerOf, preflightOf } from './provider-output.js';
import {
  EVENT_TOO_LARGE,
  METHOD_NOT_ALLOWED,
  PROVIDER_FAILED,
  rateLimited,
  Refusal,
  SOURCE_REFUSED,
  TOO_MANY_EXECUTIONS,
  UNAVAILABLE,
} from './refusal.js';
import { RefusalLog } from './refusal-log.js';
import { reportFailure } from './report-failure.js';
import { RequestVerifier, type VerifierParts } from './verify-request.js';

export interface PipelineParts extends VerifierParts, InterpreterParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  readonly counters: Counters;
  /** Absent: what is refused is counted and logged alone. */
  readonly refused?: Pick<RefusedRequests, 'note'>;
  /** Absent: what senders give away in a handshake is not kept. */
  readonly handshakes?: Pick<HandshakeChanges, 'adopt' | 'awaitConfirmation' | 'finish'>;
}

/**
 * What happens to a request for a known integration, in this order: source address → rate limit → signature and
 * freshness over the raw bytes → parse → dedupe and append → answer. The body's size was checked while it was read.
 * No step reads a database, and an answer with success means that the events are durable.
 */
export class InboundPipeline {
  private readonly verifier: RequestVerifier;
  private readonly refusals: RefusalLog;
  /** Of requests that could not be verified, by integration and network. */
  private readonly failures = new RateLimiter(5_000);

  constructor(private readonly parts: PipelineParts) {
    this.verifier = new RequestVerifier(parts);
    this.refusals = new RefusalLog(parts.log);
  }

  /** Never throws: every failure is a refusal, counted and logged. */
  async receive(receiver: Receiver, request: InboundRequest, requestId = ''): Promise<Accepted | Refusal> {
    const { counters, clock } = this.parts;
    const now = clock.now();
    const outcome = this.admit(receiver, request, now) ?? (await this.answer(receiver, request, now));
    if (outcome instanceof Refusal)
      this.refused(receiver, outcome, { requestId, sourceIp: request.sourceIp, request }, now);
    else counters.count(receiver.id, counterOf(outcome), now.getTime());
    return outcome;
  }

  /** The answer to GET or HEAD, by which some senders check the address; `undefined` where this one does not. */
  async check(receiver: Receiver, request: InboundRequest, requestId = ''): Promise<Accepted | Refusal | undefined> {
    const { counters, clock } = this.parts;
    const now = clock.now();
    const outcome = await this.checked(receiver, request, now, () => this.admit(receiver, request, now));
    if (outcome instanceof Refusal)
      this.refused(receiver, outcome, { requestId, sourceIp: request.sourceIp, request }, now);
    else if (outcome) counters.count(receiver.id, 'handshakes', now.getTime());
    return outcome;
  }

  private async answer(receiver: Receiver, request: InboundRequest, now: Date): Promise<Accepted | Refusal> {
    const checking = this.checked(receiver, request, now);
    if (checking) {
      const checked = await checking;
      const isForged = checked instanceof Refusal && checked.status === 401;
      if (checked) return (isForged && this.limited(receiver, request, false, now)) || checked;
    }
    return this.store(receiver, request, now);
  }

  /** At once `undefined` for what is surely no handshake, as most requests are. */
  private checked(
    receiver: Receiver,
    request: InboundRequest,
    now: Date,
    /** Where nothing is a handshake, nobody may learn whether anything receives here. */
    admit: () => Refusal | undefined = () => undefined,
  ): Promise<Accepted | Refusal | undefined> | undefined {
    const provider = this.verifier.providerOf(receiver);
    if (provider instanceof Refusal || !provider.handshake) return undefined;
    const context = this.verifier.contextOf(receiver, now);
    try {
      const given = provider.handshake(request, context);
      return given && this.carriedOut(given, receiver, provider, context, admit);
    } catch (error) {
      reportFailure(this.parts.log, provider, 'handshake', error);
      return Promise.resolve(PROVIDER_FAILED);
    }
  }

  private async carriedOut(
    given: HandshakeOutcome | Promise<HandshakeOutcome | undefined>,
    receiver: Receiver,
    provider: Provider,
    context: ProviderContext,
    admit: () => Refusal | undefined,
  ): Promise<Accepted | Refusal | undefined> {
    try {
      const outcome = await given;
      return outcome && (admit() ?? (await answerHandshake(outcome, receiver, provider, context, this.parts)));
    } catch (error) {
      reportFailure(this.parts.log, provider, 'handshake', error);
      return PROVIDER_FAILED;
    }
  }

  /** Whether an integration is a chat and has the addresses of chats. */
  isCommunicator({ understoodBy }: Receiver): boolean {
    return this.parts.providers.get(understoodBy)?.communicator === true;
  }

  /** Counts and logs what is refused; also what the pipeline never saw: a body that is too large or was cut off. */
  refused(
    receiver: Receiver,
    refusal: Refusal,
    about: { readonly requestId: string; readonly sourceIp: string; readonly request?: InboundRequest },
    now = this.parts.clock.now(),
  ): void {
    const { requestId, sourceIp, request } = about;
    this.parts.refused?.note(receiver, refusal, { requestId, request }, now);
    this.parts.counters.count(receiver.id, `refused.${refusal.reason}`, now.getTime());
    this.refusals.refused(receiver, refusal, { requestId, sourceIp }, now);
  }

  /**
   * The answer to HEAD and OPTIONS, by which senders ask whether anything receives here and whether they may deliver: its
   * headers. Stores and counts nothing.
   */
  handshake(receiver: Receiver, method: string, request: InboundRequest): Readonly<Record<string, string>> | Refusal {
    const provider = this.verifier.providerOf(receiver);
    if (provider instanceof Refusal) return provider;
    if (receiver.allowed && !receiver.allowed.has(request.sourceIp)) return SOURCE_REFUSED;
    if (method === 'HEAD') return {};
    const { rateLimit } = receiver;
    const perMinute = rateLimit && Math.max(1, Math.floor((rateLimit.limit * 60_000) / rateLimit.perMs));
    try {
      return preflightOf(provider.preflight?.(request, perMinute)) ?? METHOD_NOT_ALLOWED;
    } catch (error) {
      reportFailure(this.parts.log, provider, 'preflight', error);
      return METHOD_NOT_ALLOWED;
    }
  }

  private admit(receiver: Receiver, { sourceIp }: InboundRequest, now: Date): Refusal | undefined {
    if (receiver.allowed && !receiver.allowed.has(sourceIp)) return SOURCE_REFUSED;
    if (!receiver.rateLimit) return undefined;
    const wait = this.parts.limiter.wait(receiver.id, receiver.rateLimit, now.getTime());
    return wait === 0 ? undefined : rateLimited(wait);
  }

  /** Forged requests take nothing from the rate of an integration: they are counted by themselves, for each network. */
  private limited({ id, rateLimit, places }: Receiver, { sourceIp }: InboundRequest, isGenuine: boolean, now: Date) {
    if (!rateLimit || (isGenuine && places)) return undefined;
    const wait = isGenuine
      ? this.parts.limiter.take(id, rateLimit, now.getTime())
      : this.failures.take(`${id} ${networkOf(sourceIp)}`, rateLimit, now.getTime());
    return wait === 0 ? undefined : rateLimited(wait);
  }

  private async store(receiver: Receiver, request: InboundRequest, now: Date): Promise<Accepted | Refusal> {
    const checked = this.verifier.verify(receiver, request, now);
    const verified = checked instanceof Promise ? await checked : checked;
    const isGenuine = !(verified instanceof Refusal);
    // Where it is not known whether a request is genuine, nothing is counted.
    const limited = isGenuine || verified.status === 401 ? this.limited(receiver, request, isGenuine, now) : undefined;
    if (limited) return limited;
    if (verified instanceof Refusal) return verified;
    const interpreted = interpretRequest(receiver, request, verified, this.parts);
    if (interpreted instanceof Refusal) return interpreted;
    if (interpreted.retry !== undefined) this.parts.counters.count(receiver.id, 'retries', now.getTime());
    const { deliveries } = interpreted;
    const place = receiver.places?.take(
      deliveries.flatMap(({ events }) => executionsOf(events)),
      now.getTime(),
    );
    const giveBack = typeof place === 'function' ? place : undefined;
    if (typeof place === 'object' && !(await this.isRepeat(deliveries)))
      return place.retryAfterMs === undefined ? TOO_MANY_EXECUTIONS : rateLimited(place.retryAfterMs);
    const store = (delivery: Delivery) => this.storeDelivery(delivery, giveBack);
    const receipt = deliveries.length === 1 ? await store(deliveries[0]!) : await allOf(deliveries.map(store));
    if (receiver.inHandshake && !(receipt instanceof Refusal)) this.finishHandshake(receiver);
    return receipt instanceof Refusal ? receipt : this.answered(interpreted, receipt);
  }

  /** The sender is believed: what had to be copied to its screen is there. If the process dies, the next event ends it. */
  private finishHandshake(receiver: Receiver): void {
    const { handshakes, log } = this.parts;
    handshakes?.finish(receiver).catch((error: unknown) => {
      log.warn({ integration: receiver.id, error: messageOf(error) }, 'the end of a handshake could not be recorded');
    });
  }

  /** Whether the request would be accepted, and as what; stores and counts nothing. */
  async examine(receiver: Receiver, request: InboundRequest, now: Date): Promise<InterpretedRequest | Refusal> {
    if (receiver.allowed && request.sourceIp !== '' && !receiver.allowed.has(request.sourceIp)) return SOURCE_REFUSED;
    const verified = await this.verifier.verify(receiver, request, now);
    return verified instanceof Refusal
      ? verified
      : interpretRequest(receiver, request, verified, { ...this.parts, sealing: undefined });
  }

  /** With what an examined request would be answered. */
  statusOf(interpreted: InterpretedRequest): number {
    return this.answered(interpreted, { eventIds: [], duplicate: false }).answer?.status ?? 202;
  }

  /** What a handshake would ask for; `undefined` for any other request. Nothing of it is done. */
  async tryHandshake(receiver: Receiver, request: InboundRequest, now: Date): Promise<HandshakeOutcome | undefined> {
    const provider = this.verifier.providerOf(receiver);
    return provider instanceof Refusal
      ? undefined
      : provider.handshake?.(request, this.verifier.contextOf(receiver, now));
  }

  /** Which part of a request does not fit, for the owner of the integration. */
  async explain(receiver: Receiver, request: InboundRequest, now: Date): Promise<Explanation | undefined> {
    const provider = this.verifier.providerOf(receiver);
    if (provider instanceof Refusal) return undefined;
    const expiredSecrets = receiver.previous
      .filter(({ validUntil }) => validUntil <= now.getTime())
      .map(({ secret }) => secret);
    return provider.explain?.(request, { ...this.verifier.contextOf(receiver, now), expiredSecrets });
  }

  /** Whether all of it is stored already: it is answered then, also where nothing more may begin. */
  private async isRepeat(deliveries: readonly Delivery[]): Promise<boolean> {
    try {
      const stored = await Promise.all(
        deliveries.map(({ stream }) => this.parts.store.readStream(stream, { limit: 1 })),
      );
      return stored.every((events) => events.length > 0);
    } catch (error) {
      if (error instanceof Transient) return false;
      throw error;
    }
  }

  /** A repeat starts no execution, and takes no place: the one that it repeats may have ended long ago. */
  private async storeDelivery(delivery: Delivery, giveBack?: GiveBack): Promise<Receipt | Refusal> {
    const receipt = await this.append(delivery, giveBack);
    if (receipt instanceof Refusal || receipt.duplicate) giveBack?.(executionsOf(delivery.events));
    return receipt;
  }

  private async append(delivery: Delivery, giveBack?: GiveBack): Promise<Receipt | Refusal> {
    const { store, log } = this.parts;
    const { stream, events } = delivery;
    crashPoint('intake.before-append');
    try {
      const { repeated } = await store.append(stream, events, 'no-stream');
      crashPoint('intake.after-append');
      return { eventIds: events.map(({ id }) => eventIdOf(id)), duplicate: repeated };
    } catch (error) {
      if (error instanceof WrongRevision) return this.again(delivery, giveBack);
      if (error instanceof Transient) {
        log.warn({ code: error.code, error: error.message }, 'a request could not be stored');
        return UNAVAILABLE;
      }
      if (error instanceof Rejected && error.code === 'log.append_too_large') return EVENT_TOO_LARGE;
      log.error({ err: error }, 'an append failed with an unexpected error');
      return UNAVAILABLE;
    }
  }

  /** Another body under the same delivery id: what was recorded first stays, and a body that only continues it is added. */
  private async again({ stream, events, elements }: Delivery, giveBack?: GiveBack): Promise<Receipt | Refusal> {
    const { store, log } = this.parts;
    try {
      const recorded = await store.readStream(stream);
      giveBack?.(executionsOf(recorded));
      const more = elements > 1 ? moreThan(recorded, events) : [];
      if (more.length > 0) await store.append(stream, more, BigInt(recorded.length) - 1n);
      return { eventIds: [...recorded, ...more].map(({ id }) => eventIdOf(id)), duplicate: more.length === 0 };
    } catch (error) {
      // Also where another request adds to it at the same moment: the sender must send it again.
      log.warn({ error: messageOf(error) }, 'a duplicate could not be compared with the recorded event');
      return UNAVAILABLE;
    }
  }

  private answered({ provider, body, context }: InterpretedRequest, receipt: Receipt): Accepted {
    if (!provider.respond || !body) return receipt;
    try {
      return { ...receipt, answer: answerOf(provider.respond(body, receipt, context)) };
    } catch (error) {
      // The events are stored: the platform's own answer will do.
      reportFailure(this.parts.log, provider, 'respond', error);
      return receipt;
    }
  }
}

const counterOf = ({ isHandshake, duplicate }: Accepted): 'handshakes' | 'duplicates' | 'received' =>
  isHandshake === true ? 'handshakes' : duplicate ? 'duplicates' : 'received';

const executionsOf = (events: readonly { readonly id: string }[]): readonly string[] =>
  events.map(({ id }) => executionIdOf(id));

/**
 * Each delivery of a request has its own id. If the process dies between two of them, the sender has no answer and sends
 * the request again: what is stored is a duplicate then, and the rest is recorded.
 */
async function allOf(deliveries: readonly Promise<Receipt | Refusal>[]): Promise<Receipt | Refusal> {
  const eventIds: string[] = [];
  let duplicate = deliveries.length > 0;
  for (const receipt of await Promise.all(deliveries)) {
    if (receipt instanceof Refusal) return receipt;
    eventIds.push(...receipt.eventIds);
    duplicate &&= receipt.duplicate;
  }
  return { eventIds, duplicate };
}
