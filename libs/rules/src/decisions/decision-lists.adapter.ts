import type { DataSource } from 'typeorm';

import { eventIdOf } from '#libs/events/src/envelope.js';
import type { Decision } from '#libs/events/src/types/rule.events.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { loadRows } from '#libs/persistence/src/rows.adapter.js';

import type { Failure } from '../language/condition.js';
import { ActionRefusalView, type DecisionView } from './decision.view.js';
import { failureOf } from './recorded-decisions.js';
import {
  type FailedEvent,
  type FailedRow,
  failedByRule,
  failedOnEvent,
  type TimePlace,
} from './verdict-rows.adapter.js';

/** A decision as it is shown. */
export interface ShownDecision {
  readonly eventId: string;
  readonly eventType: string;
  readonly ruleId: string;
  readonly ruleName: string;
  readonly ruleVersion: number;
  readonly outcome: Decision['outcome'];
  readonly failed?: Failure;
  readonly error?: string;
  readonly actions: readonly ShownAction[];
  readonly at: string;
}

/** What a rule requested; `refused` or `failed`, and `detail`, where it was refused or failed permanently. */
export type ShownAction = Decision['actions'][number] & { readonly failed?: string; readonly detail?: string };

/** A decision of a rule, with its place in the order of time. */
export interface PlacedDecision {
  readonly place: TimePlace;
  readonly shown: ShownDecision;
}

export interface RuleQuery {
  readonly orgId: string;
  readonly ruleId: string;
  readonly outcome?: string;
  /** Inclusive, by the time of the decision. */
  readonly from?: Date;
  /** Exclusive. */
  readonly to?: Date;
  readonly before?: TimePlace;
}

/** Waits until the versions of rules are there that a decision refers to: they are an earlier event's view. */
export type WaitForVersions = (position: bigint) => Promise<void>;

/** Decisions on one event, by the rules' ids, from the one after `after`, at most `limit`. */
export async function decisionsOnEvent(
  database: DataSource,
  { orgId, eventId, after }: { readonly orgId: string; readonly eventId: string; readonly after: string },
  limit: number,
  wait: WaitForVersions,
): Promise<readonly ShownDecision[]> {
  const rows = await database.query<StoredDecision[]>(
    `select * from views.decisions where event_id = $1 and org_id = $2 and rule_id collate "C" > $3
     order by rule_id collate "C" limit $4`,
    [eventId, orgId, after, limit],
  );
  const byThemselves = new Set(rows.map((row) => row.rule_id));
  const failed = (await failedOnEvent(database, orgId, eventId))
    .filter(({ ruleId }) => ruleId > after && !byThemselves.has(ruleId))
    .sort((one, other) => (one.ruleId < other.ruleId ? -1 : 1))
    .slice(0, limit);
  const versions = await versionsOf(database, failed, wait);
  return [...(await shownRows(database, rows)), ...failed.map((each) => shownFailure(each, eventId, versions))]
    .sort((one, other) => (one.ruleId < other.ruleId ? -1 : 1))
    .slice(0, limit);
}

/**
 * Decisions of one rule, newest first, at most `limit`; fewer, with `goOn`, where very many rows would have to be looked
 * through for more.
 */
export async function decisionsOfRule(
  database: DataSource,
  query: RuleQuery,
  limit: number,
  wait: WaitForVersions,
): Promise<{ readonly found: readonly PlacedDecision[]; readonly goOn?: TimePlace }> {
  const stored = await rowsOfRule(database, query, limit);
  const shown = await shownRows(database, stored);
  const rows = stored.map(({ at, position, ordinal }, index): PlacedDecision => ({
    place: { at: at.toISOString(), position, part: ordinal },
    shown: shown[index]!,
  }));
  if (query.outcome !== undefined && query.outcome !== 'not_matched') return { found: rows };
  const { found: failed, scannedTo } = await failedByRule(database, query, query, limit);
  const versions = await versionsOf(database, failed, wait);
  const all = [...rows, ...failed.map((each) => placedFailure(each, versions))].sort((one, other) =>
    isAfter(one.place, other.place) ? -1 : 1,
  );
  // Beyond what was looked through nothing is known of the one kind, and so nothing is shown of the other.
  const known = scannedTo ? all.filter(({ place }) => !isAfter(scannedTo, place)) : all;
  return { found: known.slice(0, limit), ...(scannedTo && { goOn: scannedTo }) };
}

function isAfter(one: TimePlace, other: TimePlace): boolean {
  if (one.at !== other.at) return one.at > other.at;
  if (one.position !== other.position) return BigInt(one.position) > BigInt(other.position);
  return one.part > other.part;
}

interface StoredDecision {
  readonly event_id: string;
  readonly event_type: string;
  readonly rule_id: string;
  readonly rule_name: string;
  readonly rule_version: number;
  readonly outcome: DecisionView['outcome'];
  readonly failed: Failure | null;
  readonly error: string | null;
  readonly actions: DecisionView['actions'];
  readonly at: Date;
  readonly position: string;
  readonly ordinal: number;
}

function rowsOfRule(database: DataSource, query: RuleQuery, limit: number): Promise<StoredDecision[]> {
  const { orgId, ruleId, outcome, from, to, before } = query;
  return database.query<StoredDecision[]>(
    `select * from views.decisions
     where rule_id = $1 and org_id = $2 and ($3::text is null or outcome = $3)
       and at >= coalesce($4::timestamptz, '-infinity') and at < coalesce($5::timestamptz, 'infinity')
       and ($6::timestamptz is null or (at, position, ordinal) < ($6, $7::bigint, $8::int))
     order by at desc, position desc, ordinal desc limit $9`,
    [
      ruleId,
      orgId,
      outcome ?? null,
      from ?? null,
      to ?? null,
      before?.at ?? null,
      before?.position ?? null,
      before?.part ?? null,
      limit,
    ],
  );
}

/** With what became of their requests, as far as others refused them. */
async function shownRows(database: DataSource, rows: readonly StoredDecision[]): Promise<readonly ShownDecision[]> {
  const requests = rows.flatMap(({ actions }) => actions.map(({ requestId }) => ({ requestId })));
  const refusals = await loadRows(database, ActionRefusalView, requests);
  const byRequest = new Map(refusals.map((refusal) => [refusal.requestId, refusal]));
  const shownAction = (action: Decision['actions'][number]): ShownAction => {
    const refusal = byRequest.get(action.requestId);
    if (refusal === undefined) return action;
    return { ...action, [refusal.failed ? 'failed' : 'refused']: refusal.reason, detail: refusal.detail };
  };
  return rows.map((row) => shownRow(row, row.actions.map(shownAction)));
}

const shownRow = (row: StoredDecision, actions: readonly ShownAction[]): ShownDecision => ({
  eventId: row.event_id,
  eventType: row.event_type,
  ruleId: row.rule_id,
  ruleName: row.rule_name,
  ruleVersion: row.rule_version,
  outcome: row.outcome,
  ...(row.failed !== null && { failed: row.failed }),
  ...(row.error !== null && { error: row.error }),
  actions,
  at: row.at.toISOString(),
});

type Versions = ReadonlyMap<string, Pick<RuleDefinition, 'name' | 'conditions'>>;

/** What the rules said when they were asked. */
async function versionsOf(
  database: DataSource,
  failed: readonly FailedRow[],
  wait: WaitForVersions,
): Promise<Versions> {
  if (failed.length === 0) return new Map();
  const wanted = new Map(failed.map((each) => [`${each.ruleId} ${each.version}`, each]));
  for (let tries = 1; ; tries++) {
    const rows = await database.query<{ rule_id: string; version: number; name: string; conditions: unknown }[]>(
      `select rule_id, version, definition->>'name' as name, definition->'conditions' as conditions
       from views.rule_versions join unnest($1::text[], $2::int[]) as wanted(rule_id, version) using (rule_id, version)`,
      [[...wanted.values()].map(({ ruleId }) => ruleId), [...wanted.values()].map(({ version }) => version)],
    );
    const found = new Map(rows.map((row) => [`${row.rule_id} ${row.version}`, versionOf(row)]));
    if (found.size === wanted.size || tries > 1) return found;
    await wait(failed.reduce((most, { position }) => (BigInt(position) > most ? BigInt(position) : most), 0n));
  }
}

const versionOf = ({ name, conditions }: { name: string; conditions: unknown }) => ({ name, conditions });

function shownFailure(
  { ruleId, version, pointer, actual, eventType, at }: FailedRow,
  eventId: string,
  versions: Versions,
): ShownDecision {
  const { name = '', conditions } = versions.get(`${ruleId} ${version}`) ?? {};
  return {
    eventId,
    eventType,
    ruleId,
    ruleName: name,
    ruleVersion: version,
    outcome: 'not_matched',
    failed: failureOf(conditions, pointer, actual),
    actions: [],
    at: at.toISOString(),
  };
}

const placedFailure = (each: FailedEvent, versions: Versions): PlacedDecision => ({
  place: { at: each.at.toISOString(), position: each.position, part: each.part },
  shown: shownFailure(each, eventIdOf(each.eventUuid), versions),
});

/** Whether there is such a rule, archived ones included. */
export async function isRule(database: DataSource, orgId: string, ruleId: string): Promise<boolean> {
  const rows = await database.query<unknown[]>('select from views.rules where org_id = $1 and id = $2', [
    orgId,
    ruleId,
  ]);
  return rows.length > 0;
}
