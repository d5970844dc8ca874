import type { DataSource } from 'typeorm';

import type {
  DecisionQuery,
  DecisionSource,
  DecisionSources,
  KeyedDecision,
  NearTrigger,
} from '#libs/event-index/src/decision-sources.js';
import type { SeenEvent } from '#libs/event-index/src/nearness.js';
import type { TriggerDecision, WorkflowDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';

import type { WorkflowTable } from '../workflow/workflow.table.js';
import { nearestTriggers } from './nearest-triggers.js';

/** A place in the decisions of a workflow: newest first, what is asked for is older. */
export interface DecisionPlace {
  readonly at: string;
  readonly eventId: string;
  readonly trigger: number;
}

export interface WorkflowQuery {
  readonly orgId: string;
  readonly workflowId: string;
  /** Its name, from which the id follows. */
  readonly workflow: string;
  readonly outcome?: string;
  /** Inclusive, by the time of the decision. */
  readonly from?: Date;
  /** Exclusive. */
  readonly to?: Date;
  readonly before?: DecisionPlace;
}

interface Row {
  readonly event_id: string;
  readonly event_type: string;
  readonly workflow_id: string;
  readonly workflow: string;
  readonly version: string;
  readonly trigger: number;
  readonly outcome: TriggerDecision['outcome'];
  readonly reason: TriggerDecision['reason'] | null;
  readonly detail: string | null;
  readonly error: string | null;
  readonly failed: TriggerDecision['failed'] | null;
  readonly run_id: string | null;
  readonly at: Date;
}

/** A run that a trigger started is its decision; one that `concurrency` left no place for was skipped after all. */
const RUNS = `
  select event_id, event_type, workflow_id, workflow, version, trigger_index as trigger,
         case when status = 'skipped' then 'skipped' else 'started' end as outcome,
         case when status = 'skipped' then 'concurrency' end as reason,
         case when status = 'skipped' then '"concurrency" left no place for the run.' end as detail,
         null::text as error, null::json as failed, id as run_id, started_at as at, org_id
    from views.runs where event_id is not null and trigger_index is not null`;
/** What was decided at first of an event that waited for the end of a burst or batch gives way to its run. */
const OTHERS = `
  select event_id, event_type, workflow_id, workflow, version, trigger, outcome, reason, detail, error, failed,
         run_id, at, org_id
    from views.trigger_decisions decided
   where not exists (
     select from views.runs run where run.event_id = decided.event_id and run.workflow_id = decided.workflow_id
        and run.trigger_index = decided.trigger)`;

/** Which runs have an outcome; no run has another one. */
const STATUSES = new Map<string | undefined, string>([
  [undefined, ''],
  ['started', `and status <> 'skipped'`],
  ['skipped', `and status = 'skipped'`],
]);

/** Decisions of triggers: those that started a run, from the rows of runs, and all others. */
export class WorkflowDecisions implements DecisionSource {
  constructor(
    private readonly database: DataSource,
    private readonly workflows: Pick<WorkflowTable, 'all'>,
    sources: DecisionSources,
  ) {
    sources.add(this);
  }

  async decisionsOn({ orgId, eventId, after }: DecisionQuery, limit: number): Promise<readonly KeyedDecision[]> {
    const rows = await this.database.query<Row[]>(
      `select * from (${RUNS} and event_id = $1 union all ${OTHERS} and event_id = $1) decision
        where org_id = $2 and workflow_id || ' ' || lpad(trigger::text, 2, '0') collate "C" > $3
        order by workflow_id collate "C", trigger limit $4`,
      [eventId, orgId, after, limit],
    );
    return rows.map((row) => ({
      key: `${row.workflow_id} ${String(row.trigger).padStart(2, '0')}`,
      shown: shownRow(row),
    }));
  }

  async nearestTriggers(
    orgId: string,
    eventId: string,
    event: SeenEvent,
    most: number,
  ): Promise<readonly NearTrigger[]> {
    const rows = await this.database.query<Pick<Row, 'workflow_id' | 'trigger'>[]>(
      `select workflow_id, trigger from (${RUNS} and event_id = $1 union all ${OTHERS} and event_id = $1) decision
        where org_id = $2`,
      [eventId, orgId],
    );
    const decided = new Set(rows.map(({ workflow_id, trigger }) => `${workflow_id} ${trigger}`));
    return nearestTriggers(event, this.workflows.all(orgId), (id, index) => decided.has(`${id} ${index}`), most);
  }

  /** Newest first. */
  async ofWorkflow(query: WorkflowQuery, limit: number): Promise<readonly WorkflowDecisionAnswer[]> {
    const { orgId, workflowId, workflow, outcome, from, to, before } = query;
    // Each half is read in its own order, and no further than needed: runs by the name, as their index has it.
    const within = (time: string, trigger: string): string => `
        and org_id = $2 and workflow = $10
        and ${time} >= coalesce($4::timestamptz, '-infinity') and ${time} < coalesce($5::timestamptz, 'infinity')
        and ($6::timestamptz is null or (${time}, event_id, ${trigger}) < ($6, $7::text, $8::int))`;
    const order = 'order by at desc, event_id desc, trigger desc limit $9';
    const others = `${OTHERS} and workflow_id = $1 ${within('at', 'trigger')} and ($3::text is null or outcome = $3) ${order}`;
    const status = STATUSES.get(outcome);
    const runs = `${RUNS} ${within('started_at', 'trigger_index')} ${status} ${order}`;
    const halves = status === undefined ? [others] : [runs, others];
    const rows = await this.database.query<Row[]>(
      `select * from ((${halves.join(') union all (')})) decision ${order}`,
      [
        workflowId,
        orgId,
        outcome ?? null,
        from ?? null,
        to ?? null,
        before?.at ?? null,
        before?.eventId ?? null,
        before?.trigger ?? null,
        limit,
        workflow,
      ],
    );
    return rows.map(shownRow);
  }
}

const shownRow = (row: Row): WorkflowDecisionAnswer => ({
  kind: 'workflow',
  eventId: row.event_id,
  eventType: row.event_type,
  workflowId: row.workflow_id,
  workflow: row.workflow,
  version: row.version,
  trigger: row.trigger,
  outcome: row.outcome,
  ...(row.run_id !== null && { runId: row.run_id }),
  ...(row.failed && { failed: row.failed }),
  ...(row.reason && { reason: row.reason }),
  ...(row.detail !== null && { detail: row.detail }),
  ...(row.error !== null && { error: row.error }),
  at: row.at.toISOString(),
});
