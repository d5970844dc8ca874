import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { InboundRequest, Provider, ProviderContext, Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { verdictProblem } from '#libs/plugin-sdk/src/loading/verdict-shape.js';

import { type Receiver, validSecrets } from '../integration/integration.table.js';
import {
  notInbound,
  PROVIDER_FAILED,
  PROVIDER_MISSING,
  type Refusal,
  refusedBecause,
  VERIFY_TIMED_OUT,
} from './refusal.js';
import { reportFailure } from './report-failure.js';

/** Senders give up after ten seconds or so: a verification that takes longer than this helps nobody. */
const TIME_LIMIT_MS = 5_000;
/** Strangers cause these log lines, so each kind is written once a minute and integration. */
const LOG_EVERY_MS = 60_000;

export interface VerifierParts {
  readonly providers: ReadonlyMap<string, Provider>;
  /** For providers that have to fetch keys. */
  readonly http?: ProviderContext['http'];
  readonly log: Log;
  /** Default 5 s. */
  readonly timeLimitMs?: number;
}

/** A genuine request. */
export interface Verified {
  readonly provider: Provider;
  readonly context: ProviderContext;
  readonly authentication: string;
}

/** Asks the provider of an integration whether a request is genuine, whatever that provider does. */
export class RequestVerifier {
  private readonly logged = new BoundedMap<string, number>(10_000);

  constructor(private readonly parts: VerifierParts) {}

  verify(receiver: Receiver, request: InboundRequest, now: Date): Verified | Refusal | Promise<Verified | Refusal> {
    const provider = this.parts.providers.get(receiver.provider);
    if (!provider) return PROVIDER_MISSING;
    if (provider.refusesInbound !== undefined) return notInbound(provider.refusesInbound);
    const secrets = validSecrets(receiver, now.getTime());
    const context = { secrets, config: receiver.config, now, http: this.parts.http };
    try {
      const verdict = provider.verify(request, context);
      return isPromise(verdict)
        ? this.inTime(verdict, provider, receiver, context)
        : this.judged(verdict, provider, receiver, context);
    } catch (error) {
      return this.failed(provider, error);
    }
  }

  private async inTime(
    verdict: PromiseLike<Verdict>,
    provider: Provider,
    receiver: Receiver,
    context: ProviderContext,
  ): Promise<Verified | Refusal> {
    const limit = this.parts.timeLimitMs ?? TIME_LIMIT_MS;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'timeout'>((resolve) => (timer = setTimeout(resolve, limit, 'timeout')));
    try {
      const outcome = await Promise.race([verdict, timeout]);
      if (outcome !== 'timeout') return this.judged(outcome, provider, receiver, context);
      this.warn(receiver, context, 'timeout', `verify has not answered within ${limit} ms`);
      return VERIFY_TIMED_OUT;
    } catch (error) {
      return this.failed(provider, error);
    } finally {
      clearTimeout(timer);
    }
  }

  private judged(
    verdict: Verdict,
    provider: Provider,
    receiver: Receiver,
    context: ProviderContext,
  ): Verified | Refusal {
    const problem = verdictProblem(verdict);
    if (problem === undefined && verdict.ok) return { provider, context, authentication: verdict.authentication };
    if (problem !== undefined) reportFailure(this.parts.log, provider, 'verify', new TypeError(problem));
    // A clear no stays a no, whatever its reason; anything else is no verdict.
    if (problem !== undefined && (verdict as Partial<Verdict> | undefined)?.ok !== false) return PROVIDER_FAILED;
    const { reason, detail } = verdict as Extract<Verdict, { ok: false }>;
    if (typeof detail === 'string') this.warn(receiver, context, reason, detail);
    return refusedBecause(reason, provider.wants);
  }

  private failed(provider: Provider, error: unknown): Refusal {
    reportFailure(this.parts.log, provider, 'verify', error);
    return PROVIDER_FAILED;
  }

  private warn({ id, provider }: Receiver, { now }: ProviderContext, reason: string, detail: string): void {
    const key = `${id} ${reason}`;
    const at = now.getTime();
    if (Math.abs(at - (this.logged.get(key) ?? -Infinity)) < LOG_EVERY_MS) return;
    this.logged.set(key, at);
    this.parts.log.warn({ integration: id, provider, reason, detail }, 'a request could not be verified');
  }
}

/** Also one that another library or realm has made. */
const isPromise = (verdict: Verdict | PromiseLike<Verdict>): verdict is PromiseLike<Verdict> =>
  typeof (verdict as { then?: unknown } | null | undefined)?.then === 'function';
