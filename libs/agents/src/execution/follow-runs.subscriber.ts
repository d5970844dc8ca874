import { Inject, Injectable } from '@nestjs/common';

import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import type { EventType } from '#libs/events/src/catalogue.js';
import { eventIdOf, requestedExecutionId } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import type { ExecutionError } from '#libs/events/src/shapes/agents/execution-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { PREFIXES, type Uuid } from '#libs/kernel/src/ids.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { type RowOf, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { failed, finished } from '../engine/end-drafts.js';
import type { ExecutionDraft, Running } from '../engine/execution-state.js';
import { ExecutionLinkView } from './execution.view.js';
import { appendToExecution, cancelled, readExecution, type RequestPlace } from './execution-stream.js';

const REQUESTS = ['workflow.requested', 'issue.requested', 'message.requested'] as const;
const OUTCOMES = [
  'workflow.completed',
  'workflow.failed',
  'workflow.skipped',
  'run.cancelled',
  'issue.created',
  'issue.commented',
  'tracker.issue_opened',
  'tracker.issue_commented',
  'tracker.failed',
  'message.sent',
  'message.failed',
  'action.refused',
] as const;
/** A run gives up what its steps wait for. */
const CLOSING = [
  'run.recovery_started',
  'run.finally_started',
  'run.cancelled',
  'workflow.failed',
  'workflow.completed',
] as const;
const ENDS = ['agent.finished', 'agent.failed', 'agent.cancelled'] as const;

const CONCURRENT = 16;

type Outcome = RecordedEvent<(typeof OUTCOMES)[number]>;
type Closing = RecordedEvent<(typeof CLOSING)[number]>;

/**
 * What ties executions to the rest: the outcome of what an execution requested (a run, an issue, a message) is its result or
 * that of a tool, and an execution that a step of a run waits for is cancelled when that run ends first or withdraws the request.
 */
@Injectable()
export class FollowRuns implements Subscriber {
  readonly name = followers.followRuns;
  readonly reads: readonly EventType[] = [
    ...new Set<EventType>(['agent.requested', ...REQUESTS, ...OUTCOMES, 'run.request_withdrawn', ...CLOSING, ...ENDS]),
  ];
  readonly writes = ['agent.tool_answered', 'agent.finished', 'agent.failed', 'agent.cancelled'] as const;
  readonly gathers = true;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const links = events.flatMap(linkOf);
    const outcomes = events.flatMap((event) => (event.is(...OUTCOMES) && isOfAgent(event) ? [event] : []));
    const closings = events.flatMap((event) => (event.is(...CLOSING) ? [event] : []));
    const withdrawn = events.flatMap((event) =>
      event.is('run.request_withdrawn') && event.data.request === 'agent.requested' ? [event.data.requestId] : [],
    );
    const ended = events.flatMap((event) => (event.is(...ENDS) ? [event.data.executionId] : []));
    if (links.length + outcomes.length + closings.length + withdrawn.length + ended.length === 0) return;
    const tx = await context.transaction();
    await upsertRows(tx, ExecutionLinkView, links, { onConflict: 'nothing' });
    await inParallel(await answered(tx, outcomes), CONCURRENT, ([executionId, outcome]) =>
      this.end(executionId, (running, now) => resultOf(outcome, running, now)),
    );
    await inParallel(await bereft(tx, closings, withdrawn), CONCURRENT, (child) => this.close(child));
    if (ended.length > 0) await tx.query('delete from views.agent_links where execution_id = any($1)', [ended]);
  }

  /** The execution may not have begun: then its stream is taken by the cancellation, so that it never will. */
  private async close({ execution_id: executionId, parent_run, stream, revision }: Bereft): Promise<void> {
    const by = `run/${parent_run}`;
    const target = { executionId, request: { stream, revision }, actor: by };
    crashPoint('agents.before-close');
    await appendToExecution(
      this.store,
      target,
      () => this.clock.now(),
      (read) => cancelled(read, executionId, by),
    );
    crashPoint('agents.after-close');
  }

  private async end(
    executionId: string,
    drafts: (running: Running, now: Date) => readonly ExecutionDraft[],
  ): Promise<void> {
    const { state } = await readExecution(this.store, executionId);
    if (state.kind !== 'running') return;
    crashPoint('agents.before-result');
    const request: RequestPlace = state.start.request;
    await appendToExecution(
      this.store,
      { executionId, request },
      () => this.clock.now(),
      (read, now) => (read.state.kind === 'running' ? drafts(read.state, now) : []),
    );
    crashPoint('agents.after-result');
  }
}

/** Most runs have nothing to do with agents: the path of causes says so without a look at the database. */
const isOfAgent = ({ metadata: { causedBy = [] } }: RecordedEvent): boolean =>
  causedBy.some((id) => id.startsWith(`${PREFIXES.agent}_`));

function linkOf(event: RecordedEvent): RowOf<ExecutionLinkView>[] {
  const { id, stream, revision, position } = event;
  const isAsked = event.is(...REQUESTS) && event.data.requestedBy.kind === 'agent';
  const isChild = event.is('agent.requested') && event.data.isChild === true && event.data.requestedBy.kind === 'run';
  if (!isAsked && !isChild) return [];
  const by = (event as RecordedEvent<'agent.requested'>).data.requestedBy;
  return [
    {
      id,
      orgId: event.metadata.orgId,
      executionId:
        by.kind === 'agent' ? by.executionId : requestedExecutionId(event as RecordedEvent<'agent.requested'>),
      parentRun: by.kind === 'run' ? by.runId : null,
      requestStream: stream,
      requestRevision: String(revision),
      position: String(position),
    },
  ];
}

/** Executions whose request has an outcome now. */
async function answered(
  tx: ViewTransaction,
  outcomes: readonly Outcome[],
): Promise<readonly (readonly [string, Outcome])[]> {
  if (outcomes.length === 0) return [];
  const byRequest = new Map(outcomes.map((event) => [event.metadata.$causationId, event]));
  const rows = await tx.query<{ id: Uuid; execution_id: string }[]>(
    'select id, execution_id from views.agent_links where id = any($1::uuid[]) and parent_run is null',
    [[...byRequest.keys()]],
  );
  return rows.map(({ id, execution_id }) => [execution_id, byRequest.get(id)!]);
}

interface Bereft {
  readonly execution_id: string;
  readonly parent_run: string;
  readonly stream: string;
  readonly revision: string;
}

/** Executions that were requested before their run gave up, or that it has withdrawn. */
async function bereft(
  tx: ViewTransaction,
  closings: readonly Closing[],
  withdrawn: readonly string[],
): Promise<readonly Bereft[]> {
  if (closings.length + withdrawn.length === 0) return [];
  return tx.query<Bereft[]>(
    `select l.execution_id, l.parent_run, l.request_stream as stream, l.request_revision as revision
       from views.agent_links l join unnest($1::text[], $2::bigint[]) as p (id, position) on p.id = l.parent_run
      where l.position < p.position
     union
     select execution_id, parent_run, request_stream, request_revision from views.agent_links
      where id = any($3::uuid[]) and parent_run is not null`,
    [closings.map(({ data }) => data.runId), closings.map(({ position }) => String(position)), withdrawn],
  );
}

/** The result of the execution, or of the call of a tool that asked for it; none where that is recorded already. */
function resultOf(event: Outcome, execution: Running, now: Date): readonly ExecutionDraft[] {
  const { output, error } = resultIn(event);
  const requestId = eventIdOf(event.metadata.$causationId!);
  const call = execution.work.calls.find((one) => one.kind === 'tool' && one.called?.requestId === requestId);
  if (call?.kind !== 'tool' || !call.called)
    return [error ? failed(execution, error, now) : finished(execution, output, now)];
  if (call.answer) return [];
  const { executionId, call: number, toolCallId, tool } = call.called;
  const about = { executionId, call: number, toolCallId, tool };
  return [
    {
      type: 'agent.tool_answered',
      data: { ...about, output: error ? error.message : (output ?? null), isError: error !== undefined },
    },
  ];
}

function resultIn(event: Outcome): { readonly output?: unknown; readonly error?: ExecutionError } {
  const fail = (code: string, message: string) => ({ error: { code, message } });
  if (event.is('workflow.completed')) return { output: event.data.outputs };
  if (event.is('workflow.failed')) {
    const { runId, error } = event.data;
    return fail(error.code, `The run ${runId} failed: ${error.message}`);
  }
  if (event.is('run.cancelled')) return fail('agent.run_cancelled', `The run ${event.data.runId} was cancelled.`);
  if (event.is('workflow.skipped'))
    return fail('agent.run_skipped', `The run ${event.data.runId} was skipped: ${event.data.detail}`);
  if (event.is('issue.created')) return { output: { issueId: event.data.issueId, created: true } };
  if (event.is('issue.commented')) return { output: { issueId: event.data.issueId, created: false } };
  if (event.is('tracker.issue_opened', 'tracker.issue_commented')) {
    const { id: issueId, url } = event.data.issue;
    return { output: { issueId, created: event.type === 'tracker.issue_opened', ...(url !== undefined && { url }) } };
  }
  if (event.is('message.sent')) return { output: { sent: true, channel: event.data.channel ?? null } };
  if (event.is('message.failed', 'tracker.failed')) return fail(event.data.error.code, event.data.error.message);
  return fail('agent.run_refused', (event as RecordedEvent<'action.refused'>).data.detail);
}
