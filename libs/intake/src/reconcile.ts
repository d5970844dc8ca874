import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
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

  /** `undefined` if the sender cannot be asked: disabled, or its config does not say where and as whom. */
  async ask(integrationId: string, completeAt: string | null, signal: AbortSignal): Promise<Reconciled | undefined> {
    const { clock, http, providers } = this.parts;
    const receiver = this.parts.receiver(integrationId);
    const provider = receiver && providers.get(receiver.provider);
    if (!receiver || !provider?.reconcile || !canReconcile(provider, receiver.config)) return undefined;
    const now = clock.now();
    const since = completeAt === null ? now.getTime() - FIRST_LOOK_MS : Date.parse(completeAt) - OVERLAP_MS;
    const { checked, missing, failure } = await provider.reconcile.run({
      secrets: validSecrets(receiver, now.getTime()),
      config: receiver.config,
      now,
      http,
      since: new Date(since),
      seen: (deliveryIds) => this.seen(integrationId, deliveryIds),
      signal,
    });
    return {
      integrationId,
      checked,
      missing: missing.slice(0, 1000).map((one) => ({ ...one })),
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

  /** @returns its position; that of an earlier outcome of the same run, if there is one. */
  async record(orgId: string, runs: number, data: Reconciled): Promise<bigint | undefined> {
    const { store, clock } = this.parts;
    const { integrationId } = data;
    const stream = streams.reconciled(integrationId);
    const event = newEvent(
      { type: 'integration.reconciled', data },
      {
        id: uuid5(RECONCILIATIONS, integrationId, String(runs)),
        orgId,
        actor: ENGINE,
        now: clock.now(),
        subject: `integration/${integrationId}`,
      },
    );
    try {
      return (await store.append(stream, [event], runs === 0 ? 'no-stream' : BigInt(runs - 1))).position;
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
      return (await store.readStream(stream, { from: BigInt(runs), limit: 1 }))[0]?.position;
    }
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
    const outcome = receiver && (await this.reconciler.ask(integrationId, completeAt, signal));
    // Its row goes away with the event that says why.
    if (!receiver || !outcome) return { position: work.position };
    signal.throwIfAborted();
    crashPoint('intake.after-reconcile');
    const position = await this.reconciler.record(receiver.orgId, runs, outcome);
    return { position: position ?? work.position };
  }
}
