import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';

/** Every verdict as a row: by event it answers "why did nothing run?", by rule "what did this rule do?". */
@Injectable()
export class DecisionProjection implements Subscriber {
  readonly name = 'rules.decisions';
  readonly reads = ['rule.evaluated'] as const;
  readonly writes = [] as const;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const rows = events
      .filter((event) => event.is('rule.evaluated'))
      .flatMap(({ data, metadata, position }) =>
        data.decisions.map((decision, ordinal) => ({ data, metadata, position, decision, ordinal })),
      );
    if (rows.length === 0) return;
    const tx = await context.transaction();
    await tx.query(
      `insert into views.decisions (event_id, rule_id, org_id, position, ordinal, event_type, rule_name, rule_version,
                                    outcome, failed, error, actions, at)
       select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[],
                            $8::int[], $9::text[], $10::json[], $11::text[], $12::json[], $13::timestamptz[])
       on conflict do nothing`,
      [
        rows.map(({ data }) => data.eventId),
        rows.map(({ decision }) => decision.ruleId),
        rows.map(({ metadata }) => metadata.orgId),
        rows.map(({ position }) => String(position)),
        rows.map(({ ordinal }) => ordinal),
        rows.map(({ data }) => data.eventType),
        rows.map(({ decision }) => decision.ruleName),
        rows.map(({ decision }) => decision.ruleVersion),
        rows.map(({ decision }) => decision.outcome),
        rows.map(({ decision }) => storable(decision.failed)),
        rows.map(({ decision }) => decision.error?.replaceAll('\0', '\ufffd') ?? null),
        rows.map(({ decision }) => storable(decision.actions)),
        rows.map(({ metadata }) => metadata.timestamp),
      ],
    );
  }
}

/** JSON as PostgreSQL takes it. */
const storable = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));
