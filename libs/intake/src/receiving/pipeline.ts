import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { messageOf, Rejected, Transient } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';
import type {
  Answer,
  InboundRequest,
  Provider,
  ProviderContext,
  Receipt,
  Verdict,
} from '#libs/plugin-sdk/src/define-provider.js';

import type { Counters } from '../integration/counters.js';
import { type Receiver, validSecrets } from '../integration/integration.table.js';
import type { RateLimiter } from '../integration/rate-limiter.js';
import { type Delivery, reportFailure, understand, type Understood, type Verified } from './interpret-request.js';
import { moreThan } from './more-than.js';
import { answerOf } from './provider-output.js';
import {
  EVENT_TOO_LARGE,
  notInbound,
  PROVIDER_FAILED,
  PROVIDER_MISSING,
  rateLimited,
  refusedBecause,
  Refusal,
  SOURCE_REFUSED,
  UNAVAILABLE,
} from './refusal.js';

export interface PipelineParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly limiter: RateLimiter;
  /** For providers that have to fetch keys. */
  readonly http?: ProviderContext['http'];
  readonly counters: Counters;
  readonly log: Log;
}

/** A request that was stored (or had been), and what to answer where the provider wants something of its own. */
export interface Accepted extends Receipt {
  readonly answer?: Answer | undefined;
}

/**
 * What happens to a request for a known integration, in this order: source address → rate limit → signature and
 * freshness over the raw bytes → parse → dedupe and append → answer. The body's size was looked at while it was read.
 * No step asks a database, and what is answered with success is durable.
 */
export class InboundPipeline {
  constructor(private readonly parts: PipelineParts) {}

  /** Never throws: what goes wrong is a refusal, and counted. */
  async receive(receiver: Receiver, request: InboundRequest): Promise<Accepted | Refusal> {
    const { counters, clock } = this.parts;
    const now = clock.now();
    const outcome = this.admit(receiver, request, now) ?? (await this.store(receiver, request, now));
    if (outcome instanceof Refusal) counters.count(receiver.id, `refused.${outcome.reason}`, now.getTime());
    else counters.count(receiver.id, outcome.duplicate ? 'duplicates' : 'received', now.getTime());
    return outcome;
  }

  /** Whether an integration is a chat, with the addresses that chats have. */
  isCommunicator({ provider }: Receiver): boolean {
    return this.parts.providers.get(provider)?.communicator === true;
  }

  /** Counts what was refused before it came here: a body that is too large or was cut off. */
  refusedEarly(receiver: Receiver, refusal: Refusal): void {
    this.parts.counters.count(receiver.id, `refused.${refusal.reason}`, this.parts.clock.now().getTime());
  }

  private admit(receiver: Receiver, { sourceIp }: InboundRequest, now: Date): Refusal | undefined {
    if (receiver.allowed && !receiver.allowed.has(sourceIp)) return SOURCE_REFUSED;
    if (!receiver.rateLimit) return undefined;
    const wait = this.parts.limiter.take(receiver.id, receiver.rateLimit, now.getTime());
    return wait === 0 ? undefined : rateLimited(wait);
  }

  private async store(receiver: Receiver, request: InboundRequest, now: Date): Promise<Accepted | Refusal> {
    const checked = this.verify(receiver, request, now);
    const verified = checked instanceof Promise ? await checked : checked;
    if (verified instanceof Refusal) return verified;
    const understood = understand(receiver, request, verified, this.parts.log);
    if (understood instanceof Refusal) return understood;
    if (understood.retry !== undefined) this.parts.counters.count(receiver.id, 'retries', now.getTime());
    const { deliveries } = understood;
    const receipt = deliveries.length === 1 ? await this.append(deliveries[0]!) : await this.appendAll(deliveries);
    return receipt instanceof Refusal ? receipt : this.answered(understood, receipt);
  }

  /** Whether the request would be accepted, and as what; stores and counts nothing. */
  async examine(receiver: Receiver, request: InboundRequest, now: Date): Promise<Understood | Refusal> {
    if (receiver.allowed && request.sourceIp !== '' && !receiver.allowed.has(request.sourceIp)) return SOURCE_REFUSED;
    const verified = await this.verify(receiver, request, now);
    return verified instanceof Refusal ? verified : understand(receiver, request, verified, this.parts.log);
  }

  private verify(
    receiver: Receiver,
    request: InboundRequest,
    now: Date,
  ): Verified | Refusal | Promise<Verified | Refusal> {
    const provider = this.parts.providers.get(receiver.provider);
    if (!provider) return PROVIDER_MISSING;
    if (provider.refusesInbound !== undefined) return notInbound(provider.refusesInbound);
    const secrets = validSecrets(receiver, now.getTime());
    const context = { secrets, config: receiver.config, now, http: this.parts.http };
    const judged = (verdict: Verdict): Verified | Refusal =>
      verdict.ok === true
        ? { provider, context, authentication: verdict.authentication }
        : refusedBecause(verdict.reason);
    try {
      const verdict = provider.verify(request, context);
      return verdict instanceof Promise
        ? verdict.then(judged).catch((error: unknown) => this.failed(provider, 'verify', error))
        : judged(verdict);
    } catch (error) {
      return this.failed(provider, 'verify', error);
    }
  }

  private failed(provider: Provider, method: string, error: unknown): Refusal {
    reportFailure(this.parts.log, provider, method, error);
    return PROVIDER_FAILED;
  }

  /**
   * Each delivery of a request under its own id. If the process dies between two of them, the sender, who has no answer,
   * sends the request again: what is there already is a duplicate, and what is not is recorded then.
   */
  private async appendAll(deliveries: readonly Delivery[]): Promise<Receipt | Refusal> {
    const receipts = await Promise.all(deliveries.map((delivery) => this.append(delivery)));
    const eventIds: string[] = [];
    for (const receipt of receipts) {
      if (receipt instanceof Refusal) return receipt;
      eventIds.push(...receipt.eventIds);
    }
    const duplicate = receipts.length > 0 && receipts.every((receipt) => (receipt as Receipt).duplicate);
    return { eventIds, duplicate };
  }

  private async append(delivery: Delivery): Promise<Receipt | Refusal> {
    const { store, log } = this.parts;
    const { stream, events } = delivery;
    crashPoint('intake.before-append');
    try {
      const { repeated } = await store.append(stream, events, 'no-stream');
      crashPoint('intake.after-append');
      return { eventIds: events.map(({ id }) => eventIdOf(id)), duplicate: repeated };
    } catch (error) {
      if (error instanceof WrongRevision) return this.again(delivery);
      if (error instanceof Transient) {
        log.warn({ code: error.code, error: error.message }, 'a request could not be stored');
        return UNAVAILABLE;
      }
      if (error instanceof Rejected && error.code === 'log.append_too_large') return EVENT_TOO_LARGE;
      log.error({ error: messageOf(error) }, 'an append failed for an unknown reason');
      return UNAVAILABLE;
    }
  }

  /** Another body under the same delivery id: what was recorded first stays, and what it only goes on from is added. */
  private async again({ stream, events, elements }: Delivery): Promise<Receipt | Refusal> {
    const { store, log } = this.parts;
    try {
      const recorded = await store.readStream(stream);
      const more = elements > 1 ? moreThan(recorded, events) : [];
      if (more.length > 0) await store.append(stream, more, BigInt(recorded.length) - 1n);
      return { eventIds: [...recorded, ...more].map(({ id }) => eventIdOf(id)), duplicate: more.length === 0 };
    } catch (error) {
      // Also where somebody else adds to it at the same moment: then it is to be sent again.
      log.warn({ error: messageOf(error) }, 'a duplicate could not be held against its first time');
      return UNAVAILABLE;
    }
  }

  private answered({ provider, body, context }: Understood, receipt: Receipt): Accepted {
    if (!provider.respond || !body) return receipt;
    try {
      return { ...receipt, answer: answerOf(provider.respond(body, receipt, context)) };
    } catch (error) {
      // It is stored: the platform's own answer will do.
      this.failed(provider, 'respond', error);
      return receipt;
    }
  }
}
