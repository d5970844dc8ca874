import type { DataSource } from 'typeorm';

import { eventUuidOf } from '#libs/events/src/envelope.js';
import type { Uuid } from '#libs/kernel/src/ids.js';

import { failedRulesOf, type FailedRule, type FailureGroup, failureAt } from '../engine/failed-rules.js';
import type { RuleVersion } from '../engine/rule-set.js';

/** A rule that did not match an event, and when that was recorded. */
export interface FailedRow extends FailedRule {
  readonly eventType: string;
  readonly at: Date;
  /** Of the record. */
  readonly position: string;
}

/** The same, by rule, with its place in the order of time. */
export interface FailedEvent extends FailedRow {
  readonly eventUuid: Uuid;
  readonly part: number;
}

/** A place in the decisions of a rule: newest first, what is asked for is older. */
export interface TimePlace {
  readonly at: string;
  readonly position: string;
  readonly part: number;
}

interface Row {
  readonly event_id: Uuid;
  readonly position: string;
  readonly part: number;
  readonly at: Date;
  readonly decided: readonly string[] | null;
  readonly failed: readonly FailureGroup[];
  readonly event_type: string;
  readonly sets: readonly number[];
}

/** All rules that did not match an event, in no particular order. */
export async function failedOnEvent(database: DataSource, orgId: string, eventId: string): Promise<FailedRow[]> {
  const uuid = eventUuidOf(eventId);
  if (uuid === undefined) return [];
  const rows = await database.query<Row[]>(
    `select v.*, r.event_type, r.sets from views.event_verdicts v join views.rule_rolls r on r.id = v.roll_id
     where v.event_id = $1 and r.org_id = $2`,
    [uuid, orgId],
  );
  if (rows.length === 0) return [];
  const sets = await setsById(database, 'select id, rules from views.rule_sets where id = any($1)', [
    [...new Set(rows.flatMap((row) => row.sets))],
  ]);
  return rows.flatMap((row) =>
    failedRulesOf(
      row.sets.map((id) => sets.get(id) ?? []),
      row.failed,
      new Set(row.decided),
    ).map((rule) => ({ ...rule, eventType: row.event_type, at: row.at, position: row.position })),
  );
}

/** How many rows are looked through for one page, where a rule is mostly recorded by itself. */
const MAX_SCANNED = 10_000;
const SCAN = 1_000;

/**
 * Events that a rule did not match, newest first. Looks through a bounded number of rows: where that is not enough,
 * `scannedTo` says how far it came.
 */
export async function failedByRule(
  database: DataSource,
  rule: { readonly orgId: string; readonly ruleId: string },
  range: { readonly before?: TimePlace; readonly from?: Date; readonly to?: Date },
  limit: number,
): Promise<{ readonly found: readonly FailedEvent[]; readonly scannedTo?: TimePlace }> {
  const found: FailedEvent[] = [];
  let before = range.before;
  for (let scanned = 0; ;) {
    const most = scanned === 0 ? limit : SCAN;
    const rows = await rowsOfRule(database, rule, { ...range, ...(before && { before }) }, most);
    const own = rows.filter(({ decided }) => !decided?.includes(rule.ruleId));
    const sets = await setsById(
      database,
      `select s.id, s.rules from views.rule_sets s join views.rule_set_members m on m.set_id = s.id
       where s.id = any($1) and m.rule_id = $2`,
      [[...new Set(own.flatMap((row) => row.sets))], rule.ruleId],
    );
    for (const row of own) {
      const failed = failureOfRule(row, rule.ruleId, sets);
      if (failed) found.push(failed);
    }
    scanned += rows.length;
    const last = rows.at(-1);
    if (last) before = { at: last.at.toISOString(), position: last.position, part: last.part };
    if (found.length >= limit || rows.length < most || !before) return { found: found.slice(0, limit) };
    if (scanned >= MAX_SCANNED) return { found, scannedTo: before };
  }
}

function failureOfRule(
  row: Row,
  ruleId: string,
  sets: ReadonlyMap<number, readonly RuleVersion[]>,
): FailedEvent | undefined {
  for (const [place, id] of row.sets.entries()) {
    const rules = sets.get(id);
    const slot = rules?.findIndex(([other]) => other === ruleId) ?? -1;
    const failure = slot < 0 ? undefined : failureAt(row.failed, place, slot);
    if (!failure) continue;
    const { pointer, actual } = failure;
    const { event_id: eventUuid, event_type: eventType, at, position, part } = row;
    return { ruleId, version: rules![slot]![1], pointer, actual, eventUuid, eventType, at, position, part };
  }
  return undefined;
}

/** Each roll of the rule is read in its own order; there are as many as the rule or one beside it was changed. */
function rowsOfRule(
  database: DataSource,
  { orgId, ruleId }: { readonly orgId: string; readonly ruleId: string },
  { before, from, to }: { readonly before?: TimePlace; readonly from?: Date; readonly to?: Date },
  limit: number,
): Promise<Row[]> {
  return database.query<Row[]>(
    `select v.*, r.event_type, r.sets
     from views.rule_rolls r
     cross join lateral (
       select * from views.event_verdicts
       where roll_id = r.id
         and ($3::timestamptz is null or (at, position, part) < ($3, $4::bigint, $5::smallint))
         and at >= coalesce($6::timestamptz, '-infinity') and at < coalesce($7::timestamptz, 'infinity')
       order by at desc, position desc, part desc limit $8) v
     where r.org_id = $1 and r.id in (
       select s.roll_id from views.rule_set_members m join views.rule_roll_sets s using (set_id) where m.rule_id = $2)
     order by v.at desc, v.position desc, v.part desc limit $8`,
    [
      orgId,
      ruleId,
      before?.at ?? null,
      before?.position ?? null,
      before?.part ?? null,
      from ?? null,
      to ?? null,
      limit,
    ],
  );
}

async function setsById(
  database: DataSource,
  sql: string,
  parameters: unknown[],
): Promise<ReadonlyMap<number, readonly RuleVersion[]>> {
  const rows = await database.query<{ id: number; rules: readonly RuleVersion[] }[]>(sql, parameters);
  return new Map(rows.map(({ id, rules }) => [id, rules]));
}

/** Every rule that was asked about an event. */
export async function rulesAsked(database: DataSource, orgId: string, eventId: string): Promise<ReadonlySet<string>> {
  const failed = await failedOnEvent(database, orgId, eventId);
  const rows = await database.query<{ rule_id: string }[]>(
    'select rule_id from views.decisions where event_id = $1 and org_id = $2',
    [eventId, orgId],
  );
  return new Set([...failed.map(({ ruleId }) => ruleId), ...rows.map((row) => row.rule_id)]);
}
