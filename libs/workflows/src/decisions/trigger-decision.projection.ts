import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { TriggerDecisionView } from './trigger-decision.view.js';

/** Decisions of triggers as rows: by event they answer "why did it not start?", by workflow "what did it hear?". */
@Injectable()
export class TriggerDecisionProjection implements Subscriber {
  readonly name = followers.triggerDecisions;
  readonly reads = ['trigger.evaluated'] as const;
  readonly writes = [] as const;
  readonly keeps = { tables: ['trigger_decisions'], onlyInserts: true, foldVersion: 1 } as const;
  readonly readsSealed = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const records = events.filter((event) => event.is('trigger.evaluated'));
    if (records.length === 0) return;
    const tx = await context.transaction();
    const [first, later] = [false, true].map((isLater) =>
      records.filter(({ data }) => (data.afterGroup ?? false) === isLater).flatMap(rowsOf),
    );
    await upsertRows(tx, TriggerDecisionView, first!, { onConflict: 'nothing' });
    // What was decided at the end of a burst or batch comes after what was decided at first.
    await upsertRows(tx, TriggerDecisionView, later!);
  }
}

const rowsOf = ({ data, metadata }: RecordedEvent<'trigger.evaluated'>): readonly RowOf<TriggerDecisionView>[] =>
  data.events.flatMap(({ eventId, eventType, decisions }) =>
    decisions.map(({ workflowId, workflow, version, trigger, outcome, runId, reason, detail, error, failed }) => ({
      eventId,
      workflowId,
      trigger,
      orgId: metadata.orgId,
      eventType,
      workflow,
      version,
      outcome,
      runId: runId ?? null,
      reason: reason ?? null,
      detail: detail ?? null,
      error: error ?? null,
      failed: failed ?? null,
      at: metadata.timestamp,
    })),
  );
