import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { type Uuid, uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/work.js';
import type { Provider, ReconcileContext } from '#libs/plugin-sdk/src/define-provider.js';

import { type Receiver, validSecrets } from './integration-table.js';

/** The subscriber that schedules, and the queue of what it schedules. */
export const RECONCILIATIONS = 'intake.reconcile';
/** So often is a sender asked. */
export const RECONCILE_EVERY_MS = 10 * 60_000;
/** How far back it is asked for at first: GitHub remembers as much. */
const FIRST_LOOK_MS = 3 * 86_400_000;
/** What was delivered around the time of the last look is looked at again. */
const OVERLAP_MS = 60 * 60_000;
const CONCURRENT_LOOKS = 32;
/** Outcomes in which is looked what was asked for: at one every ten minutes, those of eight hours. */
const OUTCOMES_LOOKED_AT = 50;
const MAX_TRIES = 5;

export interface ReconcileTask {
  readonly integrationId: string;
  /** How often this integration has been reconciled: the revision of the next outcome. */
  readonly runs: number;
  /** RFC 3339 of the last look that got to the end; null: none has. */
  readonly completeAt: string | null;
}

export type Reconciled = DataOf<'integration.reconciled'>;

/** Whether an integration's sender can be asked, with the config that it has. */
export const canReconcile = (provider: Provider | undefined, config: JsonObject): boolean =>
  provider?.reconcile !== undefined && provider.reconcile.needs.every((key) => config[key] !== undefined);

export interface ReconcilerParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly http: ReconcileContext['http'];
  readonly providers: ReadonlyMap<string, Provider>;
  /** By id; `undefined` while it is disabled. */
  readonly receiver: (integrationId: string) => Receiver | undefined;
}

/** Asks senders what they have delivered. */
export class Reconciler {
  constructor(private readonly parts: ReconcilerParts) {}

  /**
   * @param look `completeAt`: of the last look that got to the end; `byHand`: somebody wants it now, so also what was asked
   * for in vain is asked for once more.
   * @returns `undefined` if the sender cannot be asked: disabled, or its config does not say where and as whom.
   */
  async ask(
    integrationId: string,
    { completeAt, byHand = false }: { readonly completeAt: string | null; readonly byHand?: boolean },
    signal: AbortSignal,
  ): Promise<Reconciled | undefined> {
    const { clock, http, providers } = this.parts;
    const receiver = this.parts.receiver(integrationId);
    const provider = receiver && providers.get(receiver.provider);
    if (!receiver || !provider?.reconcile || !canReconcile(provider, receiver.config)) return undefined;
    const now = clock.now();
    const since = completeAt === null ? now.getTime() - FIRST_LOOK_MS : Date.parse(completeAt) - OVERLAP_MS;
    const { checked, missing, more, failure } = await provider.reconcile.run({
      secrets: validSecrets(receiver, now.getTime()),
      config: receiver.config,
      now,
      http,
      since: new Date(since),
      seen: (deliveryIds) => this.seen(integrationId, deliveryIds),
      asked: (deliveryIds) => (byHand ? Promise.resolve(new Map()) : this.asked(integrationId, deliveryIds)),
      signal,
    });
    return {
      integrationId,
      checked,
      missing: missing.slice(0, 1000).map((one) => ({ ...one })),
      ...(more === true && { more }),
      startedAt: now.toISOString(),
      ...(failure && { failure: { ...failure } }),
    };
  }

  /** Each delivery has a stream of its own: it is there or not. */
  private async seen(integrationId: string, deliveryIds: readonly string[]): Promise<ReadonlySet<string>> {
    const seen = new Set<string>();
    await inParallel(deliveryIds, CONCURRENT_LOOKS, async (deliveryId) => {
      const recorded = await this.parts.store.readStream(streams.inbound(integrationId, deliveryId), { limit: 1 });
      if (recorded.length > 0) seen.add(deliveryId);
    });
    return seen;
  }

  private async asked(integrationId: string, deliveryIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const wanted = new Set(deliveryIds);
    const asked = new Map<string, number>();
    const stream = streams.reconciled(integrationId);
    const limit = OUTCOMES_LOOKED_AT;
    for (const event of await this.parts.store.readStream(stream, { direction: 'backwards', limit }))
      if (event.is('integration.reconciled'))
        for (const { deliveryId, requested } of event.data.missing)
          if (requested && wanted.has(deliveryId)) asked.set(deliveryId, (asked.get(deliveryId) ?? 0) + 1);
    return asked;
  }

  /** The outcome of a run that is counted. @returns its position; that of an earlier try of the same run, if there was one. */
  async record(orgId: string, runs: number, data: Reconciled): Promise<bigint | undefined> {
    const id = uuid5(RECONCILIATIONS, data.integrationId, String(runs));
    try {
      return await this.append({ orgId, actor: ENGINE, id }, runs, data);
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
      const stream = streams.reconciled(data.integrationId);
      return (await this.parts.store.readStream(stream, { from: BigInt(runs), limit: 1 }))[0]?.position;
    }
  }

  /** The outcome of what somebody asked for by hand, after whatever is there. */
  async recordNext(orgId: string, actor: string, data: Reconciled): Promise<bigint> {
    const stream = streams.reconciled(data.integrationId);
    for (let tries = 1; ; tries++) {
      const [last] = await this.parts.store.readStream(stream, { direction: 'backwards', limit: 1 });
      try {
        const runs = last === undefined ? 0 : Number(last.revision) + 1;
        return await this.append({ orgId, actor, id: uuid7() }, runs, data);
      } catch (error) {
        if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
      }
    }
  }

  private async append(
    by: { readonly orgId: string; readonly actor: string; readonly id: Uuid },
    runs: number,
    data: Reconciled,
  ): Promise<bigint> {
    const { store, clock } = this.parts;
    const { integrationId } = data;
    const context = { ...by, now: clock.now(), subject: `integration/${integrationId}` };
    const event = newEvent({ type: 'integration.reconciled', data }, context);
    const expected = runs === 0 ? 'no-stream' : BigInt(runs - 1);
    return (await store.append(streams.reconciled(integrationId), [event], expected)).position;
  }
}

/** Reconciles an integration when its row is due. */
export class ReconcileIntegrations implements Worker {
  readonly queue = RECONCILIATIONS;
  readonly concurrency = 4;
  readonly writes = ['integration.reconciled'] as const;

  constructor(
    private readonly reconciler: Reconciler,
    private readonly receiver: (integrationId: string) => Receiver | undefined,
  ) {}

  async run(work: ClaimedWork, signal: AbortSignal): Promise<WorkDone> {
    const { integrationId, runs, completeAt } = work.payload as unknown as ReconcileTask;
    const receiver = this.receiver(integrationId);
    const outcome = receiver && (await this.reconciler.ask(integrationId, { completeAt }, signal));
    // Its row goes away with the event that says why.
    if (!receiver || !outcome) return { position: work.position };
    signal.throwIfAborted();
    crashPoint('intake.after-reconcile');
    const position = await this.reconciler.record(receiver.orgId, runs, outcome);
    return { position: position ?? work.position };
  }
}
