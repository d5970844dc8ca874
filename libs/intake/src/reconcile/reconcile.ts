import { appendOnce } from '#libs/event-store/src/append-once.js';
import {
  type EventStore,
  type EventToAppend,
  type ReadStreamOptions,
  WrongRevision,
} from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { type Uuid, uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';
import type { Asked, Provider, ReconcileContext } from '#libs/plugin-sdk/src/define-provider.js';

import { type Receiver, validSecrets } from '../integration/integration.table.js';
import { canReconcile } from '../integration/settings-check.js';

type Reconciled = DataOf<'integration.reconciled'>;

/** The subscriber that schedules, and the queue of what it schedules. */
export const RECONCILIATIONS = followers.scheduleReconciliations;
/** So often is a sender asked. */
export const RECONCILE_EVERY_MS = 10 * 60_000;
/** How far back it is asked for at first, and at most: GitHub remembers as much. */
const MAX_LOOK_BACK_MS = 3 * 86_400_000;
/** What was delivered around the time of the last look is looked at again. */
const OVERLAP_MS = 60 * 60_000;
const CONCURRENT_LOOKS = 32;
/** Outcomes of three days in which is looked what was asked for, a page at a time: one every ten minutes, and those by hand. */
const OUTCOMES_A_PAGE = 50;
const MAX_OUTCOMES = 1000;
const MAX_TRIES = 5;

export interface ReconcileTask {
  readonly integrationId: string;
  /** How often this integration has been reconciled: the revision of the next outcome. */
  readonly runs: number;
  /** RFC 3339 of the last look that got to the end; null: none has. */
  readonly completeAt: string | null;
  /** RFC 3339 of the oldest delivery that is missing and may yet come. */
  readonly openSince?: string | null;
}

/** What is asked: a task of its row, or by hand. */
export type Look = Pick<ReconcileTask, 'completeAt' | 'openSince'> & {
  /** A person asked for it: failed requests are sent once more too. */
  readonly byHand?: boolean;
};

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
   * @returns `undefined` if the sender cannot be asked: disabled, or its config does not say where and as whom.
   */
  async ask(integrationId: string, look: Look, signal: AbortSignal): Promise<Reconciled | undefined> {
    const { clock, http, providers } = this.parts;
    const receiver = this.parts.receiver(integrationId);
    const provider = receiver && providers.get(receiver.provider);
    if (!receiver || !provider?.reconcile || !canReconcile(provider, receiver)) return undefined;
    const now = clock.now();
    const { checked, missing, more, openSince, failure } = await provider.reconcile.run({
      secrets: validSecrets(receiver, now.getTime()),
      config: receiver.config,
      now,
      http,
      since: new Date(sinceOf(look, now.getTime())),
      seen: (deliveryIds) => this.seen(integrationId, deliveryIds),
      asked: (deliveryIds) => (look.byHand ? Promise.resolve(new Map()) : this.asked(integrationId, deliveryIds, now)),
      signal,
    });
    return {
      integrationId,
      checked,
      missing: missing.slice(0, 1000).map((one) => ({ ...one })),
      ...(more === true && { more }),
      ...(openSince && { openSince: openSince.toISOString() }),
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

  private async asked(
    integrationId: string,
    deliveryIds: readonly string[],
    now: Date,
  ): Promise<ReadonlyMap<string, Asked>> {
    const wanted = new Set(deliveryIds);
    const asked = new Map<string, Asked>();
    const horizon = now.getTime() - MAX_LOOK_BACK_MS - OVERLAP_MS;
    const { store } = this.parts;
    const stream = streams.reconciled(integrationId);
    let page: ReadStreamOptions = { direction: 'backwards', limit: OUTCOMES_A_PAGE };
    for (let read = 0; read < MAX_OUTCOMES; read += OUTCOMES_A_PAGE) {
      const outcomes = await store.readStream(stream, page);
      for (const event of outcomes) {
        if (!event.is('integration.reconciled')) continue;
        const last = new Date(event.data.startedAt);
        if (last.getTime() < horizon) return asked;
        for (const { deliveryId, requested, refused } of event.data.missing)
          if ((requested || refused === true) && wanted.has(deliveryId)) {
            const later = asked.get(deliveryId);
            asked.set(deliveryId, later ? { ...later, times: later.times + 1 } : { times: 1, last });
          }
      }
      const first = outcomes.at(-1);
      if (first === undefined || first.revision === 0n) break;
      page = { ...page, from: first.revision - 1n };
    }
    return asked;
  }

  /** The outcome of a run that is counted, once. @returns its position. */
  async record(orgId: string, runs: number, data: Reconciled): Promise<bigint> {
    const id = uuid5(RECONCILIATIONS, data.integrationId, String(runs));
    const event = this.eventOf({ orgId, actor: ENGINE, id }, data);
    const expected = runs === 0 ? 'no-stream' : BigInt(runs - 1);
    return (await appendOnce(this.parts.store, streams.reconciled(data.integrationId), [event], expected)).position;
  }

  /** The outcome of what somebody asked for by hand, after whatever is there. */
  async recordNext(orgId: string, actor: string, data: Reconciled): Promise<bigint> {
    const { store } = this.parts;
    const stream = streams.reconciled(data.integrationId);
    const event = this.eventOf({ orgId, actor, id: uuid7() }, data);
    for (let tries = 1; ; tries++) {
      const last = await readLast(store, stream);
      try {
        return (await store.append(stream, [event], last?.revision ?? 'no-stream')).position;
      } catch (error) {
        if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
      }
    }
  }

  private eventOf(
    by: { readonly orgId: string; readonly actor: string; readonly id: Uuid },
    data: Reconciled,
  ): EventToAppend {
    const context = { ...by, now: this.parts.clock.now(), subject: `integration/${data.integrationId}` };
    return newEvent({ type: 'integration.reconciled', data }, context);
  }
}

/** An hour before the last look that got to its end, or as far as something is missing. */
function sinceOf({ completeAt, openSince }: Look, now: number): number {
  const earliest = now - MAX_LOOK_BACK_MS;
  if (completeAt === null) return earliest;
  return Math.max(
    earliest,
    Math.min(Date.parse(completeAt) - OVERLAP_MS, openSince ? Date.parse(openSince) : Infinity),
  );
}

/** Reconciles an integration when its row is due. */
export class ReconcileIntegrations implements Worker<ReconcileTask> {
  readonly queue = RECONCILIATIONS;
  readonly concurrency = 4;
  readonly writes = ['integration.reconciled'] as const;

  constructor(
    private readonly reconciler: Reconciler,
    private readonly receiver: (integrationId: string) => Receiver | undefined,
    private readonly isArchived: (orgId: string) => boolean,
  ) {}

  async run(work: ClaimedWork<ReconcileTask>, signal: AbortSignal): Promise<WorkDone> {
    const { integrationId, runs, ...look } = work.payload;
    const receiver = this.receiver(integrationId);
    if (receiver && this.isArchived(receiver.orgId))
      return { position: work.position, againAfterMs: RECONCILE_EVERY_MS };
    const outcome = receiver && (await this.reconciler.ask(integrationId, look, signal));
    // Its row goes away with the event that says why.
    if (!receiver || !outcome) return { position: work.position };
    signal.throwIfAborted();
    crashPoint('intake.after-reconcile');
    const position = await this.reconciler.record(receiver.orgId, runs, outcome);
    return { position };
  }
}
