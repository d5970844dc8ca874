import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { ReplayStatus } from '#libs/events/src/shapes/audit/replay-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';
import { upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { REPLAYS, type ReplayTask } from './replay.js';
import { ReplayView } from './replay.view.js';

/** Replays as rows, and those that have not ended as claimed work. */
@Injectable()
export class ReplayProjection implements Subscriber {
  readonly name = followers.replays;
  readonly reads = [
    'replay.requested',
    'replay.started',
    'replay.finished',
    'replay.failed',
    'replay.cancelled',
  ] as const;
  readonly writes = [] as const;

  constructor(@Inject(WorkQueue) private readonly work: WorkQueue) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    const set = (
      id: string,
      status: ReplayStatus,
      column: 'started_at' | 'ended_at',
      at: string,
      error?: object,
    ): void =>
      tx.write(`update views.replays set status = $2, ${column} = $3, error = $4::json where id = $1`, [
        id,
        status,
        at,
        error ? stringifyJson(error) : null,
      ]);
    for (const event of events) {
      const { orgId, actor: requestedBy, timestamp } = event.metadata;
      if (event.is('replay.requested')) {
        const { replayId: id, request, upTo } = event.data;
        const fresh = { status: 'waiting' as const, startedAt: null, endedAt: null, error: null };
        const row = { id, orgId, request, upTo, requestedBy, requestedAt: timestamp, ...fresh };
        await upsertRows(tx, ReplayView, [row], { onConflict: 'nothing' });
        const payload: ReplayTask = {};
        const { created: dueAt, position } = event;
        await this.work.schedule(tx, [{ queue: REPLAYS, key: id, group: orgId, dueAt, payload, position }]);
      } else if (event.is('replay.started')) set(event.data.replayId, 'running', 'started_at', timestamp);
      else if (event.is('replay.finished', 'replay.failed', 'replay.cancelled')) {
        const { replayId } = event.data;
        const error = event.is('replay.failed') ? { code: event.data.code, detail: event.data.detail } : undefined;
        const status = event.type.slice('replay.'.length) as ReplayStatus;
        set(replayId, status, 'ended_at', timestamp, error);
        await this.work.remove(tx, REPLAYS, [replayId]);
      }
    }
  }
}
