import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';

/** Workflows and their versions as rows. */
@Injectable()
export class WorkflowProjection implements Subscriber {
  readonly name = followers.workflowViews;
  readonly reads = ['workflow.saved', 'workflow.activated', 'workflow.archived'] as const;
  readonly writes = [] as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    if (events.length === 0) return;
    const tx = await context.transaction();
    const saved = events.filter((event) => event.is('workflow.saved'));
    if (saved.length > 0)
      await tx.query(
        `insert into views.workflow_versions (workflow_id, version, number, source, origin, file, saved_by, saved_at)
         select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
         on conflict do nothing`,
        [
          saved.map(({ data }) => data.workflowId),
          saved.map(({ data }) => data.version),
          saved.map(({ data }) => data.number),
          saved.map(({ data }) => data.source),
          saved.map(({ data }) => data.origin),
          saved.map(({ data }) => data.file ?? null),
          saved.map(({ metadata }) => metadata.actor),
          saved.map(({ metadata }) => metadata.timestamp),
        ],
      );
    // One row may change several times in a batch, and each time matters: workflows are saved by people, not by the second.
    for (const event of events)
      if (event.is('workflow.activated')) {
        const { workflowId, name, version, origin, file } = event.data;
        const { orgId, timestamp } = event.metadata;
        await tx.query(
          `insert into views.workflows (id, org_id, name, status, version, origin, file, created_at, updated_at)
           values ($1, $2, $3, 'active', $4, $5, $6, $7, $7)
           on conflict (id) do update set status = 'active', version = excluded.version, origin = excluded.origin,
             file = coalesce(excluded.file, workflows.file), updated_at = excluded.updated_at`,
          [workflowId, orgId, name, version, origin, file ?? null, timestamp],
        );
      } else if (event.is('workflow.archived'))
        await tx.query(`update views.workflows set status = 'archived', updated_at = $2 where id = $1`, [
          event.data.workflowId,
          event.metadata.timestamp,
        ]);
  }
}
