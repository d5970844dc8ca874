import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { followers } from '#libs/events/src/followers.js';
import type { ExecutionStatus } from '#libs/events/src/shapes/agents/execution-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { type Work, WorkQueue } from '#libs/persistence/src/claims/work.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { executionOf } from './requested.js';
import { startTimes } from './start-times.js';
import { EXECUTIONS, type ExecutionTask } from './run-execution.worker.js';

const ENDS = ['agent.finished', 'agent.failed', 'agent.cancelled'] as const;
const PROGRESS = [
  'agent.started',
  'agent.attempt_failed',
  'agent.accepted',
  'agent.tool_called',
  'agent.tool_answered',
  'agent.approval_requested',
  'agent.approval_decided',
] as const;

/**
 * Executions as rows, and whose turn it is: of each agent at most `maxConcurrent` are admitted, in the order in which they
 * were requested, and at most `rateLimit` start a minute. One process at a time runs this, in the transaction of its checkpoint, so that the count is exact over all
 * processes. What is admitted has a row of work until it ends or waits for something.
 */
@Injectable()
export class ExecutionProjection implements Subscriber {
  readonly name = followers.executionViews;
  readonly reads = [
    'agent.registered',
    'agent.updated',
    'agent.removed',
    'agent.requested',
    ...PROGRESS,
    ...ENDS,
  ] as const;
  readonly writes = [] as const;
  readonly readsSealed = true;

  constructor(
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    /** Agents of which another execution may begin, and since when. */
    const moved = new Map<string, RecordedEvent>();
    for (const event of events) {
      const agentId = await this.apply(tx, event);
      if (agentId) moved.set(agentId, event);
    }
    for (const [agentId, event] of moved) await this.admit(tx, agentId, event);
  }

  private async apply(tx: ViewTransaction, event: RecordedEvent): Promise<string | null | undefined> {
    if (event.is('agent.registered', 'agent.updated')) return saved(tx, event);
    if (event.is('agent.removed'))
      await tx.query('update views.agent_places set removed = true where agent_id = $1', [event.data.agentId]);
    else if (event.is('agent.requested')) return requested(tx, event);
    else if (event.is(...ENDS)) return this.ended(tx, event);
    else if (event.is('agent.started')) await started(tx, event);
    else if (event.is('agent.attempt_failed')) await this.wake(tx, event, new Date(event.data.retryAt));
    else if (event.is('agent.accepted')) await this.wake(tx, event);
    // Another stage answers; nobody works on it until then.
    else if (event.is('agent.tool_called') && event.data.requestId !== undefined) await this.wake(tx, event);
    else if (event.is('agent.tool_answered')) await this.wake(tx, event, this.clock.now());
    else if (event.is('agent.approval_requested')) return this.asksPerson(tx, event);
    else if (event.is('agent.approval_decided')) return decided(tx, event);
    return undefined;
  }

  private async ended(
    tx: ViewTransaction,
    event: RecordedEvent<(typeof ENDS)[number]>,
  ): Promise<string | null | undefined> {
    const { executionId } = event.data;
    const usage = event.is('agent.cancelled') ? undefined : (event as RecordedEvent<'agent.finished'>).data.usage;
    const [row] = await tx
      .query<{ agent_id: string | null }[]>(
        `update views.agent_executions set status = $2, turn = 'none', finished_at = $3, usage = coalesce($4, usage)
        where id = $1 and finished_at is null returning agent_id`,
        [executionId, statusAfter(event), event.metadata.timestamp, usage ? jsonColumn(usage) : null],
      )
      .then(rowsOf);
    await this.work.remove(tx, EXECUTIONS, [executionId]);
    return row?.agent_id;
  }

  /** While it waits for a person it takes no place. */
  private async asksPerson(tx: ViewTransaction, { data }: RecordedEvent<'agent.approval_requested'>): Promise<string> {
    await tx.query(
      `update views.agent_executions set status = 'waiting_approval', turn = 'none'
        where id = $1 and finished_at is null`,
      [data.executionId],
    );
    await this.work.remove(tx, EXECUTIONS, [data.executionId]);
    return data.agentId;
  }

  /** @param at absent: at the end of its time limit, if it has one. */
  private async wake(
    tx: ViewTransaction,
    event: RecordedEvent<'agent.attempt_failed' | 'agent.accepted' | 'agent.tool_called' | 'agent.tool_answered'>,
    at?: Date,
  ): Promise<void> {
    const { executionId } = event.data;
    const [row] = await tx.query<TaskRow[]>(
      `select id, agent_id, request_stream, request_revision, deadline from views.agent_executions
        where id = $1 and turn = 'admitted'`,
      [executionId],
    );
    const dueAt = at ?? row?.deadline;
    if (row && dueAt) await this.work.schedule(tx, [workOf(row, dueAt, event.position)]);
    else await this.work.remove(tx, EXECUTIONS, [executionId]);
  }

  /** @param because of which there may be a place. Its time counts, so that rebuilt rows are the same. */
  private async admit(tx: ViewTransaction, agentId: string, because: RecordedEvent): Promise<void> {
    const rows = await tx
      .query<AdmittedRow[]>(
        `update views.agent_executions set turn = 'admitted'
        where id in (
          select id from views.agent_executions where agent_id = $1 and turn = 'queued' order by position
           limit greatest(0, (select max_concurrent from views.agent_places where agent_id = $1)
                           - (select count(*) from views.agent_executions where agent_id = $1 and turn = 'admitted')))
        returning id, agent_id, request_stream, request_revision, deadline, first_due, position`,
        [agentId],
      )
      .then(rowsOf);
    const now = this.clock.now();
    const starts = await startsOf(tx, agentId, rows, because.created);
    await this.work.schedule(
      tx,
      rows.map((row) => workOf(row, starts.get(row.id) ?? now, because.position)),
    );
  }
}

interface AdmittedRow extends TaskRow {
  /** Null: it has not been admitted before. */
  readonly first_due: Date | null;
  readonly position: string;
}

/** When executions that are admitted for the first time may start, by their ids. */
async function startsOf(
  tx: ViewTransaction,
  agentId: string,
  rows: readonly AdmittedRow[],
  now: Date,
): Promise<ReadonlyMap<string, Date>> {
  const fresh = rows.filter((row) => row.first_due === null).sort((a, b) => Number(a.position) - Number(b.position));
  if (fresh.length === 0) return new Map();
  const earlier = await tx.query<{ first_due: Date }[]>(
    `select first_due from views.agent_executions
      where agent_id = $1 and first_due > $2::timestamptz - interval '1 minute' order by first_due`,
    [agentId, now],
  );
  const [place] = await tx.query<{ rate_limit: number }[]>(
    'select rate_limit from views.agent_places where agent_id = $1',
    [agentId],
  );
  const times = startTimes(
    earlier.map((row) => row.first_due.getTime()),
    { count: fresh.length, perMinute: place!.rate_limit, now: now.getTime() },
  );
  const starts = fresh.map(({ id }, index) => [id, new Date(times[index]!)] as const);
  await tx.query(
    `update views.agent_executions e set first_due = g.due
       from unnest($1::text[], $2::timestamptz[]) as g (id, due) where e.id = g.id`,
    [starts.map(([id]) => id), starts.map(([, due]) => due)],
  );
  return new Map(starts);
}

interface TaskRow {
  readonly id: string;
  readonly agent_id: string;
  readonly request_stream: string;
  readonly request_revision: string;
  readonly deadline: Date | null;
}

const workOf = (row: TaskRow, dueAt: Date, position: bigint): Work<ExecutionTask> => ({
  queue: EXECUTIONS,
  key: row.id,
  group: row.agent_id,
  dueAt,
  payload: { agentId: row.agent_id, request: { stream: row.request_stream, revision: row.request_revision } },
  position,
});

/** What TypeORM gives back for an update: rows and their number. */
const rowsOf = <Row>(result: readonly Row[]): readonly Row[] => (Array.isArray(result[0]) ? result[0] : result);

async function saved(
  tx: ViewTransaction,
  { data: { agentId, settings }, metadata: { orgId } }: RecordedEvent<'agent.registered' | 'agent.updated'>,
): Promise<string> {
  await tx.query(
    `insert into views.agent_places (agent_id, org_id, name, removed, max_concurrent, rate_limit)
     values ($1, $2, $3, false, $4, $5)
     on conflict (agent_id) do update set name = excluded.name, max_concurrent = excluded.max_concurrent,
       rate_limit = excluded.rate_limit`,
    [agentId, orgId, settings.name, settings.maxConcurrent, settings.rateLimit],
  );
  // It may have been asked for before it was there.
  await tx.query(
    `update views.agent_executions set agent_id = $1, turn = case when finished_at is null then 'queued' else 'none' end
      where org_id = $2 and agent_id is null and agent in ($1, $3)`,
    [agentId, orgId, settings.name],
  );
  return agentId;
}

async function requested(
  tx: ViewTransaction,
  event: RecordedEvent<'agent.requested'>,
): Promise<string | null | undefined> {
  const { id, orgId, agent, trigger, eventId, requestedBy } = executionOf(event);
  const [row] = await tx.query<{ agent_id: string | null }[]>(
    `with place as (
       select agent_id from views.agent_places
        where org_id = $2 and (agent_id = $3 or (name = $3 and not removed)) order by agent_id <> $3 limit 1
     )
     insert into views.agent_executions (id, org_id, agent, agent_id, trigger, status, turn, event_id, requested_by,
                                         request_stream, request_revision, position, created_at)
     values ($1, $2, $3, (select agent_id from place), $4, 'pending',
             case when exists (select from place) then 'queued' else 'none' end, $5, $6, $7, $8, $9, $10)
     on conflict do nothing returning agent_id`,
    [
      id,
      orgId,
      agent,
      trigger,
      eventId,
      requestedBy,
      event.stream,
      String(event.revision),
      String(event.position),
      event.metadata.timestamp,
    ],
  );
  return row?.agent_id;
}

async function started(tx: ViewTransaction, { data, metadata }: RecordedEvent<'agent.started'>): Promise<void> {
  await tx.query(
    `update views.agent_executions
        set status = 'running', started_at = $2, deadline = $3, first_due = least(first_due, $2)
      where id = $1 and status = 'pending'`,
    [data.executionId, metadata.timestamp, data.deadline ?? null],
  );
}

/** It goes on when it is its turn: it was requested before those that are queued. */
async function decided(
  tx: ViewTransaction,
  { data: { executionId, waitedMs } }: RecordedEvent<'agent.approval_decided'>,
): Promise<string | null | undefined> {
  const [row] = await tx
    .query<{ agent_id: string | null }[]>(
      `update views.agent_executions
          set status = 'running', turn = 'queued', deadline = deadline + $2 * interval '1 millisecond'
        where id = $1 and status = 'waiting_approval' returning agent_id`,
      [executionId, waitedMs],
    )
    .then(rowsOf);
  return row?.agent_id;
}

function statusAfter(event: RecordedEvent<(typeof ENDS)[number]>): ExecutionStatus {
  if (event.type === 'agent.finished') return 'completed';
  return event.type === 'agent.cancelled' ? 'cancelled' : (event.data as DataOf<'agent.failed'>).status;
}
