import { PREFIXES } from '#libs/kernel/src/ids.js';
import { Inject, Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { followers } from '#libs/events/src/followers.js';
import type { RunStatus } from '#libs/events/src/shapes/run-shape.js';
import { jsonColumn, type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';
import { type Taken, WorkQueue } from '#libs/persistence/src/claims/work.js';

import { requestOutcomes } from '../steps/registry.js';
import type { RunFailure } from '../steps/kind/step-state.js';
import { RUNS } from './advance-run.worker.js';
import { SNAPSHOT_EVERY } from './advance/run-snapshot.js';
import { giveTurns } from './turns/turns.adapter.js';
import { RunRequestView, RunView } from './run.view.js';
import { LoneRuns } from './lone-runs.js';
import { searchable } from './shown/run-filter.js';

/** When a run is to be taken up again: at a time, at once (a time that is over), or by an outcome only. */
type Due = { readonly at: Date; readonly position: bigint; readonly taken?: Taken } | 'never';

/** What a batch of events says about one run. */
interface Change {
  readonly runId: string;
  started?: {
    readonly data: DataOf<'workflow.started'>;
    readonly orgId: string;
    readonly story: string;
    readonly at: string;
  };
  /** The run had ended, and goes on. */
  retried?: true;
  /** The version that it goes on with. */
  version?: string;
  status?: RunStatus;
  error?: RunFailure;
  endedAt?: string;
  /** It may have a snapshot. */
  isLong?: boolean;
  /** Set by `run.rested` and by the end: null where no time is waited for. */
  until?: string | null;
  due?: Due;
  /** Requests that the run still waits for, when it last came to rest. */
  awaiting?: readonly string[];
  restedAt?: bigint;
}

/** What runs record about themselves; a type may be the outcome of a request besides. */
const ABOUT_RUNS = [
  'workflow.started',
  'workflow.status_changed',
  'workflow.completed',
  'workflow.failed',
  'workflow.skipped',
  'run.cancelled',
  'run.retried',
  'run.resumed',
  'run.finally_started',
  'run.rested',
  'run.woken',
  'run.step_awaiting',
] as const;

/**
 * Runs as rows, and when each has something to do. It also sees the outcomes of what runs asked for: a request is always
 * in the log before its outcome, so one subscriber that reads both in order cannot miss one.
 */
@Injectable()
export class RunProjection implements Subscriber {
  readonly name = followers.runViews;
  readonly reads = [...ABOUT_RUNS, ...requestOutcomes];
  readonly writes = [] as const;
  readonly readsSealed = true;
  private readonly lone = new LoneRuns();
  readonly tables = [this.lone];

  constructor(@Inject(WorkQueue) private readonly work: WorkQueue) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const changes = new Map<string, Change>();
    const requests: RowOf<RunRequestView>[] = [];
    const outcomes: RecordedEvent[] = [];
    for (const event of events) {
      this.lone.apply(event);
      const mayAnswer = event.is(...requestOutcomes) && mayAnswerRun(event);
      if (mayAnswer && !this.lone.isEndOfOne(event)) outcomes.push(event);
      if (event.is('run.step_awaiting')) {
        const { requestId, runId } = event.data;
        requests.push({ requestId, runId, outcomeStream: null, outcomeRevision: null });
      }
      if (event.is(...ABOUT_RUNS)) note(changes, event);
    }
    if (changes.size === 0 && outcomes.length === 0) return;
    const tx = await context.transaction();
    await saveRuns(tx, [...changes.values()]);
    await upsertRows(tx, RunRequestView, requests, { onConflict: 'nothing' });
    const woken = await resolve(tx, outcomes);
    await dropWhatIsOver(tx, [...changes.values()]);
    const last = events.at(-1)!.position;
    await this.schedule(tx, changes, woken, last);
    const shared = events.filter((event) => !this.lone.isEndOfOne(event));
    await giveTurns(tx, this.work, shared, last);
  }

  private async schedule(
    tx: ViewTransaction,
    changes: ReadonlyMap<string, Change>,
    woken: ReadonlySet<string>,
    position: bigint,
  ): Promise<void> {
    const rested = [...changes.values()].filter(
      (change) => change.awaiting !== undefined && change.endedAt === undefined,
    );
    const ready = new Set([...woken, ...(await withOutcome(tx, rested))]);
    const now = new Date();
    const due = new Map<string, Due>();
    for (const { runId, due: own } of changes.values()) if (own) due.set(runId, own);
    for (const runId of ready) if (changes.get(runId)?.endedAt === undefined) due.set(runId, { at: now, position });
    const work = [...due].flatMap(([key, one]) =>
      one === 'never'
        ? []
        : [
            {
              queue: RUNS,
              key,
              dueAt: one.at,
              payload: {},
              position: one.position,
              ...(one.taken && { taken: one.taken }),
            },
          ],
    );
    await this.work.remove(
      tx,
      RUNS,
      [...due].flatMap(([key, one]) => (one === 'never' ? [key] : [])),
    );
    await this.work.schedule(tx, work);
  }
}

function note(changes: Map<string, Change>, event: RecordedEvent): void {
  const { runId } = event.data as { runId: string };
  let change = changes.get(runId);
  if (!change) changes.set(runId, (change = { runId }));
  const { timestamp, orgId, $correlationId: story } = event.metadata;
  if (event.is('workflow.started')) {
    change.started = { data: event.data, orgId, story, at: timestamp };
    const { claim, concurrency } = event.data;
    const taken = claim && { process: claim.process, claim: claim.number };
    // One with a concurrency key has to wait for its turn.
    if (!concurrency) change.due = { at: new Date(timestamp), position: event.position, ...(taken && { taken }) };
  } else if (event.is('workflow.status_changed')) change.status = event.data.to;
  else if (event.is('run.rested')) {
    const { until, awaiting } = event.data;
    change.until = until ?? null;
    change.awaiting = awaiting;
    change.due = until === undefined ? 'never' : { at: new Date(until), position: event.position };
  } else if (event.is('run.woken'))
    // It waits for its turn.
    change.due = 'never';
  else if (event.is('run.finally_started')) {
    change.until = null;
    // Who cancels a run leaves its last steps to a worker.
    if (event.data.to === 'cancelled') change.due = { at: new Date(timestamp), position: event.position };
  } else if (event.is('run.resumed')) change.due = { at: new Date(timestamp), position: event.position };
  else if (event.is('run.retried')) {
    const { version, concurrency } = event.data;
    delete change.error;
    delete change.endedAt;
    change.retried = true;
    change.until = null;
    if (version !== undefined) change.version = version;
    if (concurrency) delete change.due;
    else change.due = { at: new Date(timestamp), position: event.position };
  } else if (event.is('workflow.completed', 'workflow.failed', 'workflow.skipped', 'run.cancelled')) {
    if (event.is('workflow.failed')) change.error = event.data.error;
    change.endedAt = timestamp;
    change.isLong = event.revision >= SNAPSHOT_EVERY;
    change.until = null;
    change.due = 'never';
  }
}

/** A run as its whole stream tells it; `undefined` where there is no run. */
export function rowOf(events: readonly RecordedEvent[]): RunView | undefined {
  const changes = new Map<string, Change>();
  for (const event of events) if (event.is(...ABOUT_RUNS)) note(changes, event);
  const [change] = changes.values();
  return change && begun(change);
}

/** A run from its start to where a batch leaves it. */
function begun({ runId: id, started, ...now }: Change): RunView | undefined {
  if (!started) return undefined;
  const { workflowId, workflow, version, trigger, event, inputs } = started.data;
  return {
    id,
    orgId: started.orgId,
    workflowId,
    workflow,
    version: now.version ?? version,
    trigger: trigger.kind,
    triggerIndex: trigger.index ?? null,
    eventId: event?.id ?? null,
    eventType: event?.type ?? null,
    correlationId: started.story,
    inputs: searchable(inputs),
    status: now.status ?? 'running',
    error: now.error ?? null,
    until: timeOf(now.until),
    startedAt: new Date(started.at),
    endedAt: timeOf(now.endedAt),
  };
}

const timeOf = (text: string | null | undefined): Date | null => (text ? new Date(text) : null);

async function saveRuns(tx: ViewTransaction, changes: readonly Change[]): Promise<void> {
  // Where the log is read again, later batches bring such a row to its end again.
  await upsertRows(
    tx,
    RunView,
    changes.flatMap((change) => begun(change) ?? []),
  );
  const changed = changes.filter(
    ({ started, status, until, endedAt }) =>
      !started && (status !== undefined || until !== undefined || endedAt !== undefined),
  );
  if (changed.length === 0) return;
  // What a batch does not tell of a run stays as it is, which no upsert can say.
  tx.write(
    `update views.runs r
        set status = coalesce(g.status, r.status),
            error = case when g.retried then g.error else coalesce(g.error, r.error) end,
            ended_at = case when g.retried then g.ended_at else coalesce(g.ended_at, r.ended_at) end,
            version = coalesce(g.version, r.version),
            until = case when g.has_until then g.until else r.until end
       from unnest($1::text[], $2::text[], $3::json[], $4::timestamptz[], $5::boolean[], $6::timestamptz[],
                   $7::boolean[], $8::text[])
         as g (id, status, error, ended_at, has_until, until, retried, version)
      where r.id = g.id`,
    [
      changed.map(({ runId }) => runId),
      changed.map(({ status }) => status ?? null),
      changed.map(({ error }) => (error === undefined ? null : jsonColumn(error))),
      changed.map(({ endedAt }) => endedAt ?? null),
      changed.map(({ until }) => until !== undefined),
      changed.map(({ until }) => until ?? null),
      changed.map(({ retried = false }) => retried),
      changed.map(({ version }) => version ?? null),
    ],
  );
}

/** Most outcomes answer what a rule asked for: they need no look at the requests of runs. Every act of a run names its workflow. */
const mayAnswerRun = ({ metadata: { $causationId, causedBy } }: RecordedEvent): boolean =>
  $causationId !== undefined &&
  (causedBy === undefined || causedBy.some((id) => id.startsWith(`${PREFIXES.workflow}_`)));

/** Notes outcomes beside the requests that caused them. The first one counts. Returns the runs that were waiting. */
async function resolve(tx: ViewTransaction, outcomes: readonly RecordedEvent[]): Promise<ReadonlySet<string>> {
  if (outcomes.length === 0) return new Set();
  const byRequest = new Map(outcomes.toReversed().map((event) => [event.metadata.$causationId!, event]));
  const [rows] = await tx.query<[{ run_id: string }[], number]>(
    `update views.run_requests r set outcome_stream = g.stream, outcome_revision = g.revision
       from unnest($1::uuid[], $2::text[], $3::bigint[]) as g (request_id, stream, revision)
      where r.request_id = g.request_id and r.outcome_stream is null
     returning r.run_id`,
    [
      [...byRequest.keys()],
      [...byRequest.values()].map(({ stream }) => stream),
      [...byRequest.values()].map(({ revision }) => String(revision)),
    ],
  );
  return new Set(rows.map(({ run_id }) => run_id));
}

/** Requests that a run has got its answer to, or has given up, are not kept; nor is the snapshot of a run that has ended. */
async function dropWhatIsOver(tx: ViewTransaction, changes: readonly Change[]): Promise<void> {
  const ended = changes.filter(({ endedAt }) => endedAt !== undefined);
  const long = ended.filter(({ isLong }) => isLong);
  if (long.length > 0)
    tx.write('delete from views.run_snapshots where run_id = any($1::text[])', [long.map(({ runId }) => runId)]);
  const rested = changes.filter(({ awaiting, endedAt }) => awaiting !== undefined && endedAt === undefined);
  if (ended.length + rested.length === 0) return;
  tx.write('delete from views.run_requests where run_id = any($1::text[]) and request_id <> all($2::uuid[])', [
    [...ended, ...rested].map(({ runId }) => runId),
    rested.flatMap(({ awaiting }) => awaiting!),
  ]);
}

/** Runs that came to rest without knowing yet that what they wait for is there. */
async function withOutcome(tx: ViewTransaction, rested: readonly Change[]): Promise<readonly string[]> {
  const awaiting = rested.flatMap((change) => change.awaiting ?? []);
  if (awaiting.length === 0) return [];
  const rows = await tx.query<{ run_id: string }[]>(
    'select distinct run_id from views.run_requests where request_id = any($1::uuid[]) and outcome_stream is not null',
    [awaiting],
  );
  return rows.map(({ run_id }) => run_id);
}
