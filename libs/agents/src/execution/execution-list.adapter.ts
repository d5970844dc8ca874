import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore, platformEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { ApprovalVote, ExecutionAnswer, ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { PREFIXES, uuid5 } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import { agentNotFound } from '../agent/agent.js';
import { AgentView } from '../agent/agent.view.js';
import type { Execution } from '../engine/execution-state.js';
import { timelineOf } from '../engine/timeline.js';
import { decideApproval } from './decide-approval.js';
import { appendToExecution, cancelled, readExecution, requestAt } from './execution-stream.js';
import { ExecutionView } from './execution.view.js';
import { inputOf } from './run-execution.worker.js';

export interface ExecutionFilter {
  readonly trigger?: string | undefined;
  readonly status?: string | undefined;
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}

/** What agents were asked to do, as it stands. */
@Injectable()
export class Executions {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Clock) readonly clock: Clock,
  ) {}

  /** Of an agent by id; by name also of one that is not there (yet). @throws Rejected `agent.not_found` */
  async list(
    orgId: string,
    agent: string,
    { trigger, status, limit, cursor }: ExecutionFilter,
  ): Promise<Page<ExecutionAnswer>> {
    const query = this.database
      .getRepository(ExecutionView)
      .createQueryBuilder('execution')
      .where('execution.orgId = :orgId', { orgId })
      .andWhere('(execution.agentId = :agent or (execution.agentId is null and execution.agent = :agent))', { agent });
    if (trigger !== undefined) query.andWhere('execution.trigger = :trigger', { trigger });
    if (status !== undefined) query.andWhere('execution.status = :status', { status });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { createdAt: 'time', id: 'text' }, 'DESC');
    if (rows.length === 0 && !(await this.isKnown(orgId, agent))) throw agentNotFound(agent);
    return { data: rows.map(answerOf), nextCursor };
  }

  /** @throws Rejected `agent.no_execution` */
  async view(orgId: string, agent: string, id: string): Promise<ExecutionDetail> {
    const row = await this.find(orgId, agent, id);
    const [request, { events, state }] = await Promise.all([
      requestAt(this.store, { stream: row.requestStream, revision: row.requestRevision }),
      readExecution(this.store, id),
    ]);
    const { event } = request.data;
    const cause = event && (await readAt(this.store, event.stream, event.revision));
    const end = events.findLast((one) => one.is('agent.finished', 'agent.failed'));
    return {
      ...answerOf(row),
      runtime: ('start' in state ? state.start?.runtime : undefined) ?? null,
      input: inputOf(request, cause && platformEvent(cause)),
      output: end?.is('agent.finished', 'agent.failed') ? (end.data.output ?? null) : null,
      error: end?.is('agent.failed') ? end.data.error : null,
      approvals: openApprovals(state),
      steps: [...timelineOf(events.map(({ type, data, metadata: { timestamp } }) => ({ type, data, timestamp })))],
    };
  }

  /** Starts one by hand. With an `Idempotency-Key` the same request sent again is the same execution. */
  async request(caller: Caller, agentId: string, input: unknown): Promise<ExecutionDetail> {
    const { orgId, actor } = caller;
    const isThere = await this.database.getRepository(AgentView).existsBy({ id: agentId, orgId, removed: false });
    if (!isThere) throw agentNotFound(agentId);
    const executionId = newIdFor(caller, PREFIXES.execution);
    const data = {
      requestedBy: { kind: 'manual' as const, by: actor },
      eventId: '',
      agent: agentId,
      input: input ?? null,
      executionId,
    };
    const id = uuid5('agents.manual', executionId);
    const subject = `agent/${agentId}`;
    const event = newEvent({ type: 'agent.requested', data }, { id, orgId, actor, now: this.clock.now(), subject });
    const { position } = await appendOnce(this.store, streams.execution(executionId), [event]);
    await hasSeen(this.progress, followers.executionViews, position);
    return this.view(orgId, agentId, executionId);
  }

  async cancel(caller: Caller, agent: string, id: string): Promise<ExecutionDetail> {
    const row = await this.find(caller.orgId, agent, id);
    const { requestStream: stream, requestRevision: revision } = row;
    const target = { executionId: id, request: { stream, revision }, actor: caller.actor };
    const { position } = await appendToExecution(
      this.store,
      target,
      () => this.clock.now(),
      (read) => cancelled(read, id, caller.actor),
    );
    const isSeen = await hasSeen(this.progress, followers.executionViews, position);
    const view = await this.view(caller.orgId, agent, id);
    return isSeen ? view : { ...view, status: 'cancelled', finishedAt: this.clock.now().toISOString() };
  }

  async decide(
    caller: Caller,
    agent: string,
    id: string,
    approvalId: string,
    vote: ApprovalVote,
  ): Promise<ExecutionDetail> {
    const { requestStream: stream, requestRevision: revision } = await this.find(caller.orgId, agent, id);
    const target = { executionId: id, request: { stream, revision }, approvalId };
    const { position } = await decideApproval(this, target, caller, vote);
    await hasSeen(this.progress, followers.executionViews, position);
    return this.view(caller.orgId, agent, id);
  }

  private async find(orgId: string, agent: string, id: string): Promise<ExecutionView> {
    const rows = this.database.getRepository(ExecutionView);
    let row = await rows.findOneBy({ id, orgId });
    if (!row) {
      // A caller that has just received the id of an execution may ask for it before its row exists.
      for (const name of [followers.requestAgents, followers.executionViews])
        await hasSeen(this.progress, name, await this.store.head());
      row = await rows.findOneBy({ id, orgId });
    }
    if (row && (row.agentId ?? row.agent) === agent) return row;
    throw new Rejected('not_found', 'agent.no_execution', `Agent ${agent} has no execution ${id}.`);
  }

  private isKnown(orgId: string, id: string): Promise<boolean> {
    return this.database.getRepository(AgentView).existsBy({ id, orgId });
  }
}

const openApprovals = (state: Execution): ExecutionDetail['approvals'] =>
  (state.kind === 'running' ? state.work.approvals : []).flatMap(({ requested, decided }) => {
    const { approvalId: id, reason, tool, arguments: args } = requested;
    return decided ? [] : [{ id, reason, tool, arguments: args }];
  });

const answerOf = (row: ExecutionView): ExecutionAnswer => ({
  id: row.id,
  agentId: row.agentId,
  agent: row.agent,
  trigger: row.trigger,
  status: row.status,
  eventId: row.eventId || null,
  requestedBy: row.requestedBy,
  usage: row.usage,
  createdAt: row.createdAt.toISOString(),
  startedAt: row.startedAt?.toISOString() ?? null,
  finishedAt: row.finishedAt?.toISOString() ?? null,
  durationMs: row.startedAt && row.finishedAt ? Math.max(0, row.finishedAt.getTime() - row.startedAt.getTime()) : null,
});
