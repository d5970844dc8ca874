import { type EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { causedBy } from '#libs/events/src/envelope.js';
import type { RunFilter } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { retryRun, type VersionLookup } from '../commands/retry-run.js';

/** The queue of requests to retry many runs; the key is the request's id. */
export const BULK_RETRIES = 'workflows.retry';

type Progressed = DataOf<'run.bulk_retry_progressed'>;

export interface BulkRetryTask {
  readonly orgId: string;
  readonly by: string;
  readonly filter: RunFilter;
  /** Runs a second. */
  readonly rate: number;
  /** Runs that ended later are left out. */
  readonly before: string;
  /** The next ones, which were recorded before they are touched: after a crash the same ones are counted again. */
  readonly runs: readonly string[];
  /** The last of them, in the order of the list. */
  readonly after?: Progressed['after'];
}

/** Finds failed runs, in the order of the list. */
export abstract class FailedRuns {
  abstract count(orgId: string, filter: RunFilter, before: Date): Promise<number>;
  abstract next(
    task: Pick<BulkRetryTask, 'orgId' | 'filter' | 'before' | 'after'>,
    most: number,
  ): Promise<readonly { readonly id: string; readonly startedAt: string }[]>;
}

/** So many runs are retried between two looks. */
export const sliceOf = (rate: number): number => Math.min(rate, 50);

/** Retries runs at a rate. A process that dies is followed by one that retries none of them a second time. */
export class RetryRuns implements Worker<BulkRetryTask> {
  readonly queue = BULK_RETRIES;
  readonly concurrency = 4;
  readonly writes = [
    'run.retried',
    'workflow.status_changed',
    'run.bulk_retry_progressed',
    'run.bulk_retry_ended',
  ] as const;

  constructor(
    private readonly store: EventStore,
    private readonly clock: Clock,
    private readonly versions: VersionLookup,
    private readonly failed: FailedRuns,
  ) {}

  async run({ key: retryId, payload }: ClaimedWork<BulkRetryTask>, signal: AbortSignal): Promise<WorkDone> {
    const { orgId, by, runs, rate } = payload;
    const request = uuid5('bulk-retry', retryId);
    const refused: Progressed['refused'] = [];
    for (const runId of runs) {
      if (signal.aborted) throw new Transient('run.interrupted', 'The process is stopping; another process goes on.');
      crashPoint('runs.before-retry');
      try {
        await retryRun(this.store, this.versions, { runId, orgId, by, request }, () => this.clock.now());
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        refused.push({ runId, code: error.code });
      }
      crashPoint('runs.after-retry');
    }
    const next = await this.failed.next(payload, sliceOf(rate));
    const last = next.at(-1) ?? payload.after;
    return this.record({
      retryId,
      retried: runs.length - refused.length,
      refused,
      runs: next.map(({ id }) => id),
      ...(last && { after: { startedAt: last.startedAt, id: last.id } }),
    });
  }

  /** Cancelled in the meantime: its answer shows what was done, and nothing is left to do. */
  private async record(progress: Progressed): Promise<WorkDone> {
    const stream = streams.bulkRetry(progress.retryId);
    for (;;) {
      const recorded = await readWhole(this.store, stream);
      const [first] = recorded;
      const last = recorded.at(-1)!;
      const isOver = recorded.some(({ type }) => type === 'run.bulk_retry_ended');
      const runs = isOver ? [] : progress.runs;
      const drafts = [
        { type: 'run.bulk_retry_progressed', data: { ...progress, runs } },
        ...(runs.length === 0 && !isOver
          ? [{ type: 'run.bulk_retry_ended', data: { retryId: progress.retryId, status: 'completed' } }]
          : []),
      ];
      const { orgId, subject, actor } = first!.metadata;
      const context = { orgId, actor, subject, now: this.clock.now(), cause: causedBy(first!) };
      const events = drafts.map((draft) =>
        newEvent(draft, { ...context, id: uuid5(draft.type, progress.retryId, String(last.revision)) }),
      );
      try {
        return { position: (await this.store.append(stream, events, last.revision)).position };
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
      }
    }
  }
}
