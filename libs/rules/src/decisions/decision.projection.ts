import { createHash } from 'node:crypto';

import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { eventIdOf, eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Decision } from '#libs/events/src/types/rule.events.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import type { FailureGroup } from '../engine/failed-rules.js';
import { ActionRefusalView, DecisionView } from './decision.view.js';

/** One rule that is recorded by itself. */
interface DecisionRow {
  readonly event: RecordedEvent;
  readonly eventId: string;
  readonly eventType: string;
  /** Among those of the same record. */
  readonly ordinal: number;
  readonly decision: Decision;
}

/** The rules of one event that did not match. */
interface VerdictRow {
  readonly event: RecordedEvent;
  readonly eventId: string;
  readonly eventType: string;
  readonly part: number;
  readonly asked: readonly string[];
  readonly failed: readonly FailureGroup[];
  readonly decided: readonly string[];
}

/** How what a rule requested is refused or fails. */
const FAILURES = ['action.refused', 'action.failed', 'agent.failed', 'message.failed', 'tracker.failed'] as const;

/**
 * EventVerdicts as rows: one for each rule that matched, was held back or could not be asked, and one for each event with all
 * rules that did not match. By event they answer "why did nothing run?", by rule "what did this rule do?".
 */
@Injectable()
export class DecisionProjection implements Subscriber {
  readonly name = followers.decisionViews;
  readonly reads = ['rule.set_formed', 'rule.evaluated', 'rule.none_matched', ...FAILURES] as const;
  readonly writes = [] as const;
  readonly keeps = {
    tables: [
      'decisions',
      'action_refusals',
      'event_verdicts',
      'rule_sets',
      'rule_set_members',
      'rule_rolls',
      'rule_roll_sets',
    ],
    numbered: ['rule_sets', 'rule_set_members', 'rule_rolls', 'rule_roll_sets', 'roll_id'],
    foldVersion: 1,
  } as const;
  readonly readsSealed = true;
  readonly gathers = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const decisions: DecisionRow[] = [];
    const later: DecisionRow[] = [];
    const verdicts: VerdictRow[] = [];
    for (const event of events)
      if (event.is('rule.evaluated')) {
        const { eventId, eventType, asked, failed = [], afterBurst = false } = event.data;
        const decided = event.data.decisions.map(({ ruleId }) => ruleId);
        event.data.decisions.forEach((decision, ordinal) =>
          (afterBurst ? later : decisions).push({ event, eventId, eventType, ordinal, decision }),
        );
        if (asked) verdicts.push({ event, eventId, eventType, part: 0, asked, failed, decided });
      } else if (event.is('rule.none_matched')) {
        const { data } = event;
        data.events.forEach(({ eventId, eventType, asked, failed, decisions: errors = [] }, part) => {
          const decided = errors.map(({ ruleId }) => ruleId);
          errors.forEach((decision) => decisions.push({ event, eventId, eventType, ordinal: part, decision }));
          verdicts.push({ event, eventId, eventType, part, asked: data.asked[asked] ?? [], failed, decided });
        });
      }
    const formed = events.filter((event) => event.is('rule.set_formed'));
    const refusals = events.flatMap((event) => (event.is(...FAILURES) ? refusalOf(event) : []));
    if (decisions.length + later.length + verdicts.length + formed.length + refusals.length === 0) return;
    const tx = await context.transaction();
    if (formed.length > 0) await saveSets(tx, formed);
    await upsertRows(tx, DecisionView, decisions.map(rowOf), { onConflict: 'nothing' });
    // List the decisions of a rule at the end of a burst comes after what it decided at first, in the order of the log.
    await upsertRows(tx, DecisionView, later.map(rowOf));
    await upsertRows(tx, ActionRefusalView, refusals, { onConflict: 'nothing' });
    if (verdicts.length > 0) await saveVerdicts(tx, verdicts, await rollsOf(tx, verdicts));
  }
}

/** Of a rule's request, which is the cause of its outcome. */
function refusalOf(event: RecordedEvent<(typeof FAILURES)[number]>): readonly RowOf<ActionRefusalView>[] {
  const { $causationId: cause } = event.metadata;
  if (cause === undefined) return [];
  const requestId = eventIdOf(cause);
  if (event.is('action.refused')) {
    const { requestedBy, reason, detail } = event.data;
    return requestedBy?.kind === 'rule' ? [{ requestId, reason, detail, failed: false }] : [];
  }
  const { error } = event.data as DataOf<'message.failed'>;
  const isOfRule = event.is('agent.failed')
    ? event.data.trigger === 'rule'
    : (event.data as DataOf<'message.failed'>).requestedBy.kind === 'rule';
  const isOver = !event.is('action.failed') || event.data.final;
  return isOfRule && isOver ? [{ requestId, reason: error.code, detail: error.message, failed: true }] : [];
}

async function saveSets(tx: ViewTransaction, formed: readonly RecordedEvent<'rule.set_formed'>[]): Promise<void> {
  tx.write(
    `with formed as (
       insert into views.rule_sets (name, org_id, rules)
       select * from unnest($1::text[], $2::text[], $3::json[])
       on conflict (name) do nothing returning id, rules)
     insert into views.rule_set_members (rule_id, set_id)
     select rule->>0, id from formed, json_array_elements(rules) rule on conflict do nothing`,
    [
      formed.map(({ data }) => data.set),
      formed.map(({ metadata }) => metadata.orgId),
      formed.map(({ data }) => stringifyJson(data.rules)),
    ],
  );
}

const rowOf = ({ event, eventId, eventType, ordinal, decision }: DecisionRow): RowOf<DecisionView> => ({
  eventId,
  ruleId: decision.ruleId,
  orgId: event.metadata.orgId,
  position: event.position,
  ordinal,
  eventType,
  ruleName: decision.ruleName,
  ruleVersion: decision.ruleVersion,
  outcome: decision.outcome,
  failed: decision.failed ?? null,
  error: decision.error ?? null,
  actions: decision.actions,
  at: event.metadata.timestamp,
});

const rollKey = ({ event, eventType, asked }: VerdictRow): string =>
  createHash('sha256')
    .update(stringifyJson([event.metadata.orgId, eventType, asked]))
    .digest('base64url')
    .slice(0, 22);

/** Ids of the rolls by their keys; those that are not there yet are put there. */
async function rollsOf(tx: ViewTransaction, rows: readonly VerdictRow[]): Promise<ReadonlyMap<string, number>> {
  const rolls = new Map(rows.map((row) => [rollKey(row), row]));
  const find = () =>
    tx.query<{ id: number; key: string }[]>('select id, key from views.rule_rolls where key = any($1)', [
      [...rolls.keys()],
    ]);
  let found = new Map((await find()).map(({ id, key }) => [key, id]));
  if (found.size === rolls.size) return found;
  const missing = [...rolls].filter(([key]) => !found.has(key));
  const names = [...new Set(missing.flatMap(([, { asked }]) => asked))];
  const sets = await tx.query<{ id: number; name: string }[]>(
    'select id, name from views.rule_sets where name = any($1)',
    [names],
  );
  const ids = new Map(sets.map(({ id, name }) => [name, id]));
  const lost = names.find((name) => !ids.has(name));
  if (lost !== undefined)
    throw new Error(`verdicts refer to the rule set ${lost}, which the log does not define before`);
  tx.write(
    `with added as (
       insert into views.rule_rolls (key, org_id, event_type, sets)
       select key, org_id, event_type, sets
       from json_to_recordset($1::json) as given(key text, org_id text, event_type text, sets integer[])
       on conflict do nothing returning id, sets)
     insert into views.rule_roll_sets (set_id, roll_id)
     select set_id, id from added, unnest(sets) set_id on conflict do nothing`,
    [
      stringifyJson(
        missing.map(([key, { event, eventType, asked }]) => ({
          key,
          org_id: event.metadata.orgId,
          event_type: eventType,
          sets: asked.map((name) => ids.get(name)),
        })),
      ),
    ],
  );
  found = new Map((await find()).map(({ id, key }) => [key, id]));
  return found;
}

async function saveVerdicts(
  tx: ViewTransaction,
  rows: readonly VerdictRow[],
  rolls: ReadonlyMap<string, number>,
): Promise<void> {
  tx.write(
    `insert into views.event_verdicts (event_id, position, part, roll_id, at, decided, failed)
     select event_id, position, part, roll_id, at,
            case when decided is null then null else array(select json_array_elements_text(decided)) end, failed
     from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::int[], $5::timestamptz[], $6::json[], $7::json[])
       as given(event_id, position, part, roll_id, at, decided, failed)
     on conflict do nothing`,
    [
      rows.map(({ eventId }) => eventUuidOf(eventId)),
      rows.map(({ event }) => String(event.position)),
      rows.map(({ part }) => part),
      rows.map((row) => rolls.get(rollKey(row))),
      rows.map(({ event }) => event.metadata.timestamp),
      rows.map(({ decided }) => (decided.length === 0 ? null : stringifyJson(decided))),
      rows.map(({ failed }) => stringifyJson(failed)),
    ],
  );
}
