import { fold } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast, readWhole } from '#libs/event-store/src/reading.js';
import type { FollowerStatus } from '#libs/event-store/src/runner/follower-status.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { RETAINED } from '#libs/events/src/types/retention.events.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import { markTruncated } from '#libs/event-index/src/retained-events.adapter.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { chooseSlice, type ChoiceParts } from './choose-slice.adapter.js';
import { retention } from './retention.js';

export interface TruncateTask {
  readonly orgId: string;
}

export interface TruncateParts extends ChoiceParts {
  readonly clock: Clock;
  /** Every subscriber: what one of them has not processed is kept. */
  readonly status: () => Promise<readonly FollowerStatus[]>;
}

const DAY_MS = 86_400_000;
const AGAIN_MS = 3_600_000;
/** Between two slices others have their turn. */
const NEXT_SLICE_MS = 50;

/**
 * Removes what an organisation does not keep any longer, a slice at a time. First the log says what will be removed
 * (`retention.applied`, at the revision after the last one: of two processes only one appends it), then the rows go, then the
 * events. A slice that a process did not finish is finished before the next one begins.
 */
export class TruncateLog implements Worker<TruncateTask> {
  readonly queue = followers.retain;
  readonly concurrency = 1;
  readonly writes = ['retention.applied'] as const;
  /** Up to where the log was looked through, by organisation and kind, until a pass is complete. */
  private readonly seenUpTo = new Map<string, bigint>();

  constructor(private readonly parts: TruncateParts) {}

  async run({ payload: { orgId }, position }: ClaimedWork<TruncateTask>): Promise<WorkDone> {
    const { store, clock } = this.parts;
    const last = await readLast(store, streams.truncated(orgId));
    if (last?.is('retention.applied')) await this.finish(orgId, last.data);
    const days = fold(retention, await readWhole(store, streams.retention(orgId)));
    const upTo = await this.processedUpTo();
    for (const kind of RETAINED) {
      if (days[kind] === undefined) continue;
      const before = timeAfter(clock.now(), -days[kind] * DAY_MS);
      const key = `${orgId} ${kind}`;
      const { slice, seenUpTo } = await chooseSlice(this.parts, {
        ...{ orgId, kind, before, upTo },
        after: this.seenUpTo.get(key) ?? -1n,
      });
      if (seenUpTo === undefined) this.seenUpTo.delete(key);
      else this.seenUpTo.set(key, seenUpTo);
      if (slice) {
        await this.truncate(orgId, slice, last);
        return { position, againAfterMs: NEXT_SLICE_MS };
      }
      if (seenUpTo !== undefined) return { position, againAfterMs: NEXT_SLICE_MS };
    }
    return { position, againAfterMs: AGAIN_MS };
  }

  private async truncate(
    orgId: string,
    slice: DataOf<'retention.applied'>,
    last: RecordedEvent | undefined,
  ): Promise<void> {
    const { store, clock } = this.parts;
    const revision = last?.revision ?? -1n;
    const event = newEvent(
      { type: 'retention.applied', data: slice },
      {
        id: uuid5(followers.retain, orgId, String(revision + 1n)),
        orgId,
        actor: ENGINE,
        now: clock.now(),
        subject: `retention/${orgId}`,
      },
    );
    await store.append(streams.truncated(orgId), [event], last ? revision : 'no-stream');
    crashPoint('audit.truncation-recorded');
    await this.finish(orgId, slice);
  }

  /** May be done again: what is gone already is passed over, and so is a stream that has gone on since. */
  private async finish(orgId: string, { kind, streams: all }: DataOf<'retention.applied'>): Promise<void> {
    const { store, database, retainables } = this.parts;
    const left: { readonly stream: string; readonly events: readonly RecordedEvent[] }[] = [];
    for (const { stream, revision } of all) {
      const events = await readWhole(store, stream);
      if (events.at(-1)?.revision === BigInt(revision)) left.push({ stream, events });
    }
    if (left.length === 0) return;
    const events = left.flatMap((one) => one.events);
    await inTransaction(database, async (tx) => {
      for (const [sql, ids] of retainables.flatMap(({ deletions }) => deletions?.(kind, events) ?? []))
        await tx.query(sql, [orgId, ids]);
      await markTruncated(
        tx,
        orgId,
        events.map(({ position }) => position),
      );
    });
    crashPoint('audit.rows-forgotten');
    for (const { stream, events } of left) {
      await store.truncateBefore(stream, events.at(-1)!.revision + 1n);
      crashPoint('audit.stream-truncated');
    }
  }

  private async processedUpTo(): Promise<bigint> {
    const positions = (await this.parts.status())
      .filter(({ kind }) => kind === 'subscriber')
      .map(({ position }) => position);
    return positions.reduce((least, position) => (position < least ? position : least), await this.parts.store.head());
  }
}
