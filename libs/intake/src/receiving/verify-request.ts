import type { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import type { Log } from '#libs/kernel/src/log.js';
import type { InboundRequest, Provider, ProviderContext, Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';
import { verdictProblem } from '#libs/plugin-sdk/src/loading/verdict-shape.js';

import { type Receiver, validSecrets } from '../integration/integration.table.js';
import { notInbound, PROVIDER_FAILED, PROVIDER_MISSING, Refusal, refusedBecause, VERIFY_TIMED_OUT } from './refusal.js';
import { reportFailure } from './report-failure.js';

/** Senders give up after ten seconds or so: a verification that takes longer than this helps nobody. */
const TIME_LIMIT_MS = 5_000;
const REPORT_EVERY_MS = 60_000;

export interface VerifierParts {
  /** By what integrations are understood with. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** How the outside reaches this server: for senders that sign the URL. */
  readonly publicUrl?: string;
  /** For providers that have to fetch keys. */
  readonly http?: ProviderContext['http'];
  /** Event types of the organisations' own. */
  readonly ownTypes?: Pick<OwnTypeTable, 'find'>;
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
  private readonly reported = new Map<string, number>();

  constructor(private readonly parts: VerifierParts) {}

  verify(receiver: Receiver, request: InboundRequest, now: Date): Verified | Refusal | Promise<Verified | Refusal> {
    const provider = this.providerOf(receiver);
    if (provider instanceof Refusal) return provider;
    const context = this.contextOf(receiver, now);
    try {
      const verdict = provider.verify(request, context);
      return isPromise(verdict) ? this.inTime(verdict, provider, context) : this.judged(verdict, provider, context);
    } catch (error) {
      return this.failed(provider, error, context);
    }
  }

  providerOf({ understoodBy }: Receiver): Provider | Refusal {
    const provider = this.parts.providers.get(understoodBy);
    if (!provider) return PROVIDER_MISSING;
    return provider.refusesInbound === undefined ? provider : notInbound(provider.refusesInbound);
  }

  contextOf(receiver: Receiver, now: Date): ProviderContext {
    const { http, publicUrl, ownTypes } = this.parts;
    const isKnownType = (type: string) => isInboundType(type) || ownTypes?.find(receiver.orgId, type)?.kind === 'known';
    const secrets = validSecrets(receiver, now.getTime());
    return { secrets, config: receiver.config, now, http, publicUrl, isKnownType };
  }

  private async inTime(
    verdict: PromiseLike<Verdict>,
    provider: Provider,
    context: ProviderContext,
  ): Promise<Verified | Refusal> {
    const limit = this.parts.timeLimitMs ?? TIME_LIMIT_MS;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'timeout'>((resolve) => (timer = setTimeout(resolve, limit, 'timeout')));
    try {
      const outcome = await Promise.race([verdict, timeout]);
      if (outcome !== 'timeout') return this.judged(outcome, provider, context);
      return VERIFY_TIMED_OUT.because(`verify has not answered within ${limit} ms`);
    } catch (error) {
      return this.failed(provider, error, context);
    } finally {
      clearTimeout(timer);
    }
  }

  private judged(verdict: Verdict, provider: Provider, context: ProviderContext): Verified | Refusal {
    const problem = verdictProblem(verdict);
    if (problem === undefined && verdict.ok) return { provider, context, authentication: verdict.authentication };
    if (problem !== undefined) this.report(provider, new TypeError(problem), context.now);
    // A clear no stays a no, whatever its reason; anything else is no verdict.
    if (problem !== undefined && (verdict as Partial<Verdict> | undefined)?.ok !== false) return PROVIDER_FAILED;
    const { reason, detail, wants = provider.wants, challenge } = verdict as Extract<Verdict, { ok: false }>;
    const refusal = refusedBecause(reason, wants, challenge);
    return typeof detail === 'string' ? refusal.because(detail) : refusal;
  }

  private failed(provider: Provider, error: unknown, { now }: ProviderContext): Refusal {
    this.report(provider, error, now);
    return PROVIDER_FAILED;
  }

  /** Strangers cause it: once a minute for each provider. */
  private report(provider: Provider, error: unknown, now: Date): void {
    const at = now.getTime();
    if (Math.abs(at - (this.reported.get(provider.name) ?? -Infinity)) < REPORT_EVERY_MS) return;
    this.reported.set(provider.name, at);
    reportFailure(this.parts.log, provider, 'verify', error);
  }
}

/** Also one that another library or realm has made. */
const isPromise = (verdict: Verdict | PromiseLike<Verdict>): verdict is PromiseLike<Verdict> =>
  typeof (verdict as { then?: unknown } | null | undefined)?.then === 'function';
