import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { ExecutionAnswer } from '#libs/events/src/shapes/agent-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { type Page, pageOf, type pagingOf } from '#libs/persistence/src/paging.js';

import { agentNotFound } from './agent.js';
import { AgentView, ExecutionView } from './agent.view.js';

type Paging = ReturnType<typeof pagingOf>;

/** What agents were asked to do, as it stands. */
@Injectable()
export class Executions {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  /** Of an agent by id; by name also of one that is not there (yet). @throws Rejected `agent.not_found` */
  async list(
    orgId: string,
    agent: string,
    { trigger, status }: { readonly trigger?: string | undefined; readonly status?: string | undefined },
    paging: Paging,
  ): Promise<Page<ExecutionAnswer>> {
    const query = this.database
      .getRepository(ExecutionView)
      .createQueryBuilder('execution')
      .where('execution.orgId = :orgId', { orgId })
      .andWhere('(execution.agentId = :agent or (execution.agentId is null and execution.agent = :agent))', { agent })
      .orderBy('execution.createdAt', 'DESC')
      .addOrderBy('execution.id', 'DESC')
      .limit(paging.limit + 1);
    if (trigger !== undefined) query.andWhere('execution.trigger = :trigger', { trigger });
    if (status !== undefined) query.andWhere('execution.status = :status', { status });
    if (paging.after)
      query.andWhere('(execution.createdAt, execution.id) < (:at::timestamptz, :id)', {
        at: paging.after[0],
        id: paging.after[1],
      });
    const rows = await query.getMany();
    if (rows.length === 0 && !(await this.isKnown(orgId, agent))) throw agentNotFound(agent);
    return pageOf(rows, paging, ({ createdAt, id }) => [createdAt.toISOString(), id], answerOf);
  }

  /** @throws Rejected `agent.no_execution` */
  async view(orgId: string, agent: string, id: string): Promise<ExecutionAnswer> {
    const rows = this.database.getRepository(ExecutionView);
    let row = await rows.findOneBy({ id, orgId });
    if (!row) {
      // Whoever has just been told the id of an execution may ask for it before it is there.
      await this.caughtUp();
      row = await rows.findOneBy({ id, orgId });
    }
    if (!row || (row.agentId ?? row.agent) !== agent)
      throw new Rejected('not_found', 'agent.no_execution', `Agent ${agent} has no execution ${id}.`);
    return answerOf(row);
  }

  async cancel(caller: Caller, agent: string, id: string): Promise<ExecutionAnswer> {
    const { status } = await this.view(caller.orgId, agent, id);
    if (status !== 'pending' && status !== 'running') return this.view(caller.orgId, agent, id);
    const { orgId, actor } = caller;
    const event = newEvent(
      { type: 'agent.cancelled', data: { executionId: id } },
      { id: uuid5('agents.cancel', id), orgId, actor, now: this.clock.now(), subject: `execution/${id}` },
    );
    const { position } = await appendOnce(this.store, streams.cancelled(id), [event]);
    if (await hasSeen(this.progress, followers.agentViews, position)) return this.view(orgId, agent, id);
    return { ...(await this.view(orgId, agent, id)), status: 'cancelled', finishedAt: this.clock.now().toISOString() };
  }

  /** Everything that is in the log by now, and what follows from it, can be seen. */
  private async caughtUp(): Promise<void> {
    for (const name of [followers.requestAgents, followers.agentViews])
      await hasSeen(this.progress, name, await this.store.head());
  }

  private isKnown(orgId: string, id: string): Promise<boolean> {
    return this.database.getRepository(AgentView).existsBy({ id, orgId });
  }
}

const answerOf = (row: ExecutionView): ExecutionAnswer => ({
  id: row.id,
  agentId: row.agentId,
  agent: row.agent,
  trigger: row.trigger,
  status: row.status,
  eventId: row.eventId,
  requestedBy: row.requestedBy,
  createdAt: row.createdAt.toISOString(),
  finishedAt: row.finishedAt?.toISOString() ?? null,
});
