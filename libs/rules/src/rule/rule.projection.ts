import { Injectable } from '@nestjs/common';

import { fold } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';

import { rule, type Rule } from './rule.js';

interface Row {
  readonly id: string;
  readonly state: Exclude<Rule, { status: 'unknown' }>;
  readonly revision: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

interface StoredRow {
  readonly id: string;
  readonly org_id: string;
  readonly version: number;
  readonly status: 'enabled' | 'disabled' | 'archived';
  readonly definition: RuleDefinition;
  readonly revision: string;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Rules and their versions as rows. */
@Injectable()
export class RuleProjection implements Subscriber {
  readonly name = followers.ruleViews;
  readonly reads = ['rule.created', 'rule.updated', 'rule.enabled', 'rule.disabled', 'rule.archived'] as const;
  readonly writes = [] as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const changes = events.filter((event) => event.is(...this.reads));
    if (changes.length === 0) return;
    const tx = await context.transaction();
    const stored = await tx.query<StoredRow[]>('select * from views.rules where id = any($1)', [
      [...new Set(changes.map((event) => event.data.ruleId))],
    ]);
    const rows = new Map(stored.map((row) => [row.id, fromStored(row)]));
    for (const event of changes) {
      const before = rows.get(event.data.ruleId);
      const state = fold(rule, [event], before?.state ?? rule.initial);
      if (state.status === 'unknown') continue;
      const updatedAt = event.metadata.timestamp;
      const createdAt = before?.createdAt ?? updatedAt;
      rows.set(event.data.ruleId, {
        id: event.data.ruleId,
        state,
        revision: String(event.revision),
        createdAt,
        updatedAt,
      });
    }
    const all = [...rows.values()];
    await tx.query(
      `insert into views.rules (id, org_id, name, version, status, definition, revision, created_at, updated_at)
       select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::json[], $7::bigint[],
                            $8::timestamptz[], $9::timestamptz[])
       on conflict (id) do update set name = excluded.name, version = excluded.version, status = excluded.status,
         definition = excluded.definition, revision = excluded.revision, updated_at = excluded.updated_at`,
      [
        all.map(({ id }) => id),
        all.map(({ state }) => state.orgId),
        all.map(({ state }) => state.definition.name),
        all.map(({ state }) => state.version),
        all.map(({ state }) => state.status),
        all.map(({ state }) => JSON.stringify(state.definition)),
        all.map(({ revision }) => revision),
        all.map(({ createdAt }) => createdAt),
        all.map(({ updatedAt }) => updatedAt),
      ],
    );
    const saves = changes.filter((event) => event.is('rule.created', 'rule.updated'));
    await tx.query(
      `insert into views.rule_versions (rule_id, version, org_id, definition, saved_by, saved_at)
       select * from unnest($1::text[], $2::int[], $3::text[], $4::json[], $5::text[], $6::timestamptz[])
       on conflict do nothing`,
      [
        saves.map((event) => event.data.ruleId),
        saves.map((event) => event.data.version),
        saves.map((event) => event.metadata.orgId),
        saves.map((event) => JSON.stringify(event.data.definition)),
        saves.map((event) => event.metadata.actor),
        saves.map((event) => event.metadata.timestamp),
      ],
    );
  }
}

const fromStored = (row: StoredRow): Row => ({
  id: row.id,
  state: { status: row.status, orgId: row.org_id, version: row.version, definition: row.definition },
  revision: row.revision,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
});
