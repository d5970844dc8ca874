import { Injectable } from '@nestjs/common';

import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { workflow } from './workflow.js';
import { WorkflowVersionView } from './workflow.view.js';

/** Workflows and their versions as rows. */
@Injectable()
export class WorkflowProjection implements Subscriber {
  readonly name = followers.workflowViews;
  readonly reads = typesOf(workflow);
  readonly writes = [] as const;
  readonly keeps = { tables: ['workflows', 'workflow_versions'], foldVersion: 1 } as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    if (events.length === 0) return;
    const tx = await context.transaction();
    const saved = events.filter((event) => event.is('workflow.saved')).map(versionOf);
    await upsertRows(tx, WorkflowVersionView, saved, { onConflict: 'nothing' });
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

const versionOf = ({ data, metadata }: RecordedEvent<'workflow.saved'>): RowOf<WorkflowVersionView> => ({
  workflowId: data.workflowId,
  version: data.version,
  number: data.number,
  source: data.source,
  origin: data.origin,
  file: data.file ?? null,
  savedBy: metadata.actor,
  savedAt: metadata.timestamp,
});
