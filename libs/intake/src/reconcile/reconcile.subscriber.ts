import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { SliceTable } from '#libs/event-store/src/slice-table.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { backoff } from '#libs/kernel/src/time/backoff.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { CHANGES_OF_SETTINGS, integration } from '../integration/integration.js';
import { canReconcile } from '../integration/settings-check.js';
import { RECONCILE_EVERY_MS, type ReconcileTask, RECONCILIATIONS } from './reconcile.js';

/** Longest time between two looks while one after the other fails: well within what senders remember. */
const MAX_PAUSE_MS = 6 * 3_600_000;
/** A sender that asks to wait for longer is asked again all the same. */
const MAX_WAIT_MS = 86_400_000;

interface Row {
  readonly runs: number;
  readonly completeAt: Date | null;
  readonly openSince: Date | null;
}

/** Keeps one row of work for each integration whose sender can be asked what it has delivered, and the last outcome. */
@Injectable()
export class ScheduleReconciliations implements Subscriber {
  readonly name = RECONCILIATIONS;
  readonly reads = [...CHANGES_OF_SETTINGS, 'integration.reconciled'] as const;
  readonly writes = [];
  private readonly states = new SliceTable(followers.reconcilable, integration, CHANGES_OF_SETTINGS);
  readonly tables = [this.states];

  constructor(
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(Plugins) private readonly plugins: Plugins,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    for (const event of events) {
      if (event.is('integration.reconciled')) await this.reconciled(tx, event);
      else if (event.is(...CHANGES_OF_SETTINGS)) {
        this.states.apply(event);
        await this.changed(tx, event);
      }
    }
  }

  private async changed(
    tx: ViewTransaction,
    event: RecordedEvent<(typeof CHANGES_OF_SETTINGS)[number]>,
  ): Promise<void> {
    const { integrationId } = event.data;
    if (this.isReconcilable(integrationId)) return this.schedule(tx, integrationId, event, event.created);
    await this.work.remove(tx, RECONCILIATIONS, [integrationId]);
    if (event.type === 'integration.deleted')
      await tx.query('delete from views.integration_reconciliations where integration_id = $1', [integrationId]);
  }

  private async reconciled(tx: ViewTransaction, event: RecordedEvent<'integration.reconciled'>): Promise<void> {
    const { integrationId, failure, more, startedAt, openSince } = event.data;
    // After `too_many` another look would see no more than this one.
    const complete = more !== true && (!failure || failure.code === 'too_many');
    const runs = Number(event.revision) + 1;
    if (this.states.get(integrationId) === undefined) return;
    await tx.query(
      `insert into views.integration_reconciliations as known (integration_id, runs, complete_at, open_since, last)
       values ($1, $2, $3, $4, $5)
       on conflict (integration_id) do update
         set runs = excluded.runs, last = excluded.last, complete_at = coalesce(excluded.complete_at, known.complete_at),
           -- One that did not get to the end may not have come to what was missing before.
           open_since = case when excluded.complete_at is null then least(excluded.open_since, known.open_since)
             else excluded.open_since end`,
      [integrationId, runs, complete ? startedAt : null, openSince ?? null, event.dataJson],
    );
    if (!this.isReconcilable(integrationId)) return;
    const pause = failure ? await this.pauseAfterFailure(tx, event) : RECONCILE_EVERY_MS;
    await this.schedule(tx, integrationId, event, new Date(event.created.getTime() + pause));
  }

  /** As long again as it has been failing, so that each pause is about twice the one before; and as long as it is asked to. */
  private async pauseAfterFailure(
    tx: ViewTransaction,
    event: RecordedEvent<'integration.reconciled'>,
  ): Promise<number> {
    const { integrationId, failure } = event.data;
    const { runs, completeAt } = (await this.row(tx, integrationId))!;
    const failing = completeAt
      ? event.created.getTime() - completeAt.getTime()
      : backoff(runs, { first: RECONCILE_EVERY_MS, max: MAX_PAUSE_MS }, 1);
    const pause = Math.min(Math.max(RECONCILE_EVERY_MS, failing), MAX_PAUSE_MS);
    return Math.max(pause, Math.min(failure?.retryAfterMs ?? 0, MAX_WAIT_MS));
  }

  private isReconcilable(id: string): boolean {
    const state = this.states.get(id);
    return state?.kind === 'active' && canReconcile(this.plugins.providers.get(state.provider), state.settings);
  }

  private async schedule(tx: ViewTransaction, integrationId: string, event: RecordedEvent, dueAt: Date): Promise<void> {
    const row = await this.row(tx, integrationId);
    const task: ReconcileTask = {
      integrationId,
      runs: row?.runs ?? 0,
      completeAt: row?.completeAt?.toISOString() ?? null,
      openSince: row?.openSince?.toISOString() ?? null,
    };
    await this.work.schedule(tx, [
      { queue: RECONCILIATIONS, key: integrationId, dueAt, payload: task, position: event.position },
    ]);
  }

  private async row(tx: ViewTransaction, integrationId: string): Promise<Row | undefined> {
    const [row] = await tx.query<Row[]>(
      `select runs, complete_at as "completeAt", open_since as "openSince"
         from views.integration_reconciliations where integration_id = $1`,
      [integrationId],
    );
    return row;
  }
}
