import { Injectable } from '@nestjs/common';

import { fold, typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { loadRows, type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { rule } from './rule.js';
import { RuleVersionView, RuleView } from './rule.view.js';

/** Rules and their versions as rows. */
@Injectable()
export class RuleProjection implements Subscriber {
  readonly name = followers.ruleViews;
  readonly reads = typesOf(rule);
  readonly writes = [] as const;
  readonly keeps = { tables: ['rules', 'rule_versions'], foldVersion: 1 } as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const changes = events.filter((event) => event.is(...this.reads));
    if (changes.length === 0) return;
    const tx = await context.transaction();
    const ids = [...new Set(changes.map((event) => event.data.ruleId))];
    const stored = await loadRows(
      tx,
      RuleView,
      ids.map((id) => ({ id })),
    );
    const rows = new Map(stored.map((row) => [row.id, row]));
    for (const event of changes) {
      const { ruleId } = event.data;
      const before = rows.get(ruleId);
      const state = fold(rule, [event], before ?? rule.initial);
      if (state.status === 'unknown') continue;
      const { orgId, version, status, definition } = state;
      const updatedAt = event.metadata.timestamp;
      rows.set(ruleId, {
        id: ruleId,
        orgId,
        name: definition.name,
        version,
        status,
        definition,
        revision: String(event.revision),
        createdAt: before?.createdAt ?? updatedAt,
        updatedAt,
      });
    }
    await upsertRows(tx, RuleView, [...rows.values()]);
    const saves = changes.filter((event) => event.is('rule.created', 'rule.updated')).map(versionOf);
    await upsertRows(tx, RuleVersionView, saves, { onConflict: 'nothing' });
  }
}

const versionOf = ({ data, metadata }: RecordedEvent<'rule.created' | 'rule.updated'>): RowOf<RuleVersionView> => ({
  ruleId: data.ruleId,
  version: data.version,
  orgId: metadata.orgId,
  definition: data.definition,
  savedBy: metadata.actor,
  savedAt: metadata.timestamp,
});
