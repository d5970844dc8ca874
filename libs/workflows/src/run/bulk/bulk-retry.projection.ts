import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { followers } from '#libs/events/src/followers.js';
import { upsertRows } from '#libs/persistence/src/rows.adapter.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';

import { BulkRetryView } from './bulk-retry.view.js';
import { BULK_RETRIES, type BulkRetryTask, sliceOf } from './retry-runs.worker.js';

/** Requests to retry many runs as rows, and the next runs of each as claimed work. */
@Injectable()
export class BulkRetryProjection implements Subscriber {
  readonly name = followers.bulkRetries;
  readonly reads = ['run.bulk_retry_requested', 'run.bulk_retry_progressed', 'run.bulk_retry_ended'] as const;
  readonly writes = [] as const;

  constructor(@Inject(WorkQueue) private readonly work: WorkQueue) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    for (const event of events) {
      if (event.is('run.bulk_retry_requested')) await this.begin(tx, event);
      else if (event.is('run.bulk_retry_progressed')) await this.progress(tx, event);
      else if (event.is('run.bulk_retry_ended')) await this.end(tx, event);
    }
  }

  private async begin(tx: ViewTransaction, event: RecordedEvent<'run.bulk_retry_requested'>): Promise<void> {
    const { retryId: id, filter, count, rate } = event.data;
    const { orgId, actor: requestedBy, timestamp: requestedAt } = event.metadata;
    const row = { id, orgId, filter, count, rate, requestedBy, requestedAt };
    const fresh = { status: 'running' as const, retried: 0, refused: 0, endedAt: null };
    await upsertRows(tx, BulkRetryView, [{ ...row, ...fresh }], { onConflict: 'nothing' });
    const task: BulkRetryTask = { orgId, by: requestedBy, filter, rate, before: requestedAt, runs: [] };
    await this.schedule(tx, id, task, event.created, event.position);
  }

  private async progress(tx: ViewTransaction, event: RecordedEvent<'run.bulk_retry_progressed'>): Promise<void> {
    const { retryId, retried, refused, runs, after } = event.data;
    const [[row]] = await tx.query<[Row[], number]>(
      `update views.bulk_retries set retried = retried + $2, refused = refused + $3 where id = $1
       returning org_id, requested_by, filter, rate, status, requested_at`,
      [retryId, retried, refused.length],
    );
    if (row?.status !== 'running' || runs.length === 0) return;
    const { org_id: orgId, requested_by: by, filter, rate, requested_at } = row;
    const before = requested_at.toISOString();
    const task: BulkRetryTask = { orgId, by, filter, rate, before, runs, ...(after && { after }) };
    // The first runs are found at once; from then on so many are done as the rate allows until the next look.
    const done = retried + refused.length;
    const pause = done === 0 ? 0 : (sliceOf(rate) / rate) * 1_000;
    await this.schedule(tx, retryId, task, new Date(event.created.getTime() + pause), event.position);
  }

  private async end(tx: ViewTransaction, event: RecordedEvent<'run.bulk_retry_ended'>): Promise<void> {
    const { retryId, status } = event.data;
    await tx.query('update views.bulk_retries set status = $2, ended_at = $3 where id = $1', [
      retryId,
      status,
      event.metadata.timestamp,
    ]);
    await this.work.remove(tx, BULK_RETRIES, [retryId]);
  }

  private schedule(
    tx: ViewTransaction,
    key: string,
    payload: BulkRetryTask,
    dueAt: Date,
    position: bigint,
  ): Promise<void> {
    return this.work.schedule(tx, [{ queue: BULK_RETRIES, key, dueAt, payload, position }]);
  }
}

interface Row {
  readonly org_id: string;
  readonly requested_by: string;
  readonly filter: DataOf<'run.bulk_retry_requested'>['filter'];
  readonly rate: number;
  readonly status: string;
  readonly requested_at: Date;
}
