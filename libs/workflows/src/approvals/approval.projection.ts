import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { RUN_ENDS } from '../waits/open-waits.js';
import { ApprovalView } from './approval.view.js';

/** What waits for approval, as rows. */
@Injectable()
export class ApprovalProjection implements Subscriber {
  readonly name = followers.approvalViews;
  readonly reads = [
    'approval.requested',
    'approval.decided',
    'run.request_withdrawn',
    'run.rested',
    ...RUN_ENDS,
  ] as const;
  readonly writes = [] as const;
  readonly keeps = { tables: ['approvals'], foldVersion: 1 } as const;
  readonly readsSealed = true;
  readonly gathers = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    const requested = events.flatMap((event) => (event.is('approval.requested') ? [rowOf(event)] : []));
    await upsertRows(tx, ApprovalView, requested, { onConflict: 'nothing' });
    const decided = events.flatMap((event) => (event.is('approval.decided') ? [event.data] : []));
    if (decided.length > 0)
      tx.write(
        `update views.approvals a set status = g.status from unnest($1::uuid[], $2::text[]) as g (id, status)
          where a.request_id = g.id and a.status = 'waiting'`,
        [
          decided.map(({ requestId }) => requestId),
          decided.map(({ approved }) => (approved ? 'approved' : 'rejected')),
        ],
      );
    const withdrawn = events.flatMap((event) => (event.is('run.request_withdrawn') ? [event.data.requestId] : []));
    if (withdrawn.length > 0)
      tx.write(`update views.approvals set status = 'over' where status = 'waiting' and request_id = any($1::uuid[])`, [
        withdrawn,
      ]);
    // A run that rests or ends without it waits for it no longer: its time is over, or something else failed.
    const awaiting = new Map<string, readonly string[]>();
    for (const event of events) {
      if (event.is('run.rested')) awaiting.set(event.data.runId, event.data.awaiting);
      else if (event.is(...RUN_ENDS)) awaiting.set(event.data.runId, []);
    }
    if (awaiting.size > 0)
      tx.write(
        `update views.approvals set status = 'over'
          where status = 'waiting' and run_id = any($1::text[]) and request_id <> all($2::uuid[])`,
        [[...awaiting.keys()], [...awaiting.values()].flat()],
      );
  }
}

function rowOf({ data, metadata }: RecordedEvent<'approval.requested'>): RowOf<ApprovalView> {
  const { requestId, runId, path, workflow, title, description = null, form, approvers, count, until = null } = data;
  const { orgId, timestamp: requestedAt } = metadata;
  const about = { requestId, orgId, runId, path, workflow, title, description, form, approvers, count };
  return { ...about, until: until, requestedAt, status: 'waiting' };
}
