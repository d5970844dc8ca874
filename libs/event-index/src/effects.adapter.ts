import type { DataSource } from 'typeorm';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { ReplayEffect, ReplayResultAnswer } from '#libs/events/src/shapes/audit/replay-shape.js';
import { VERDICT_TYPES } from '#libs/events/src/verdicts.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

export type Effects = NonNullable<ReplayResultAnswer['effects']>;

/** Most events of all stories that are looked through at a time. */
const MAX_ROWS = 20_000;
const SHOWN = 100;

interface Row {
  readonly id: Uuid;
  readonly type: string;
  readonly subject: string;
  readonly receivedAt: Date;
  readonly causation: Uuid | null;
  readonly correlation: Uuid;
}

/** What followed from each of these events, directly or not: the actions and their outcomes. Decisions are shown apart. */
export async function effectsOf(
  database: DataSource,
  orgId: string,
  events: readonly RecordedEvent[],
): Promise<ReadonlyMap<Uuid, Effects>> {
  if (events.length === 0) return new Map();
  const first = events.reduce((lowest, { position }) => (position < lowest ? position : lowest), events[0]!.position);
  const rows = await database.query<Row[]>(
    `select id, type, subject, received_at as "receivedAt", causation, correlation from views.events
      where correlation = any($1::uuid[]) and position > $2 and org_id = $3 order by position limit ${MAX_ROWS}`,
    [[...new Set(events.map(({ metadata }) => metadata.$correlationId))], String(first), orgId],
  );
  const complete = rows.length < MAX_ROWS;
  const stories = new Map<Uuid, Row[]>();
  for (const row of rows) {
    const story = stories.get(row.correlation);
    if (story) story.push(row);
    else stories.set(row.correlation, [row]);
  }
  return new Map(
    events.map(({ id, metadata }) => [
      id,
      { ...followedFrom(id, stories.get(metadata.$correlationId) ?? []), complete },
    ]),
  );
}

/** A cause precedes what it causes: one pass in the order of the log finds all. */
function followedFrom(id: Uuid, story: readonly Row[]): Omit<Effects, 'complete'> {
  const from = new Set([id]);
  const events: ReplayEffect[] = [];
  let count = 0;
  for (const row of story) {
    if (row.causation === null || !from.has(row.causation)) continue;
    from.add(row.id);
    if (VERDICTS.has(row.type) || ++count > SHOWN) continue;
    events.push({
      id: eventIdOf(row.id),
      type: row.type,
      subject: row.subject,
      receivedAt: row.receivedAt.toISOString(),
      causationId: eventIdOf(row.causation),
    });
  }
  return { count, events };
}

/** A refusal is an effect. */
const VERDICTS: ReadonlySet<string> = new Set(VERDICT_TYPES.filter((type) => type !== 'action.refused'));
