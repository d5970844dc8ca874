import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { AgentSettings, ExecutionAnswer, ExecutionTrigger } from '#libs/events/src/shapes/agent-shape.js';

/** An agent as REST lists it; removed ones are kept for their executions. */
@Entity({ schema: 'views', name: 'agents' })
export class AgentView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text')
  name!: string;
  @Column('json')
  settings!: AgentSettings;
  @Column('boolean', { name: 'has_secret' })
  hasSecret!: boolean;
  @Column('boolean')
  removed!: boolean;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** One thing that an agent was asked to do. */
@Entity({ schema: 'views', name: 'agent_executions' })
export class ExecutionView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  /** As it was named: an id or a name. */
  @Column('text')
  agent!: string;
  /** Null while there is no agent of that name. */
  @Column('text', { name: 'agent_id', nullable: true })
  agentId!: string | null;
  @Column('text')
  trigger!: ExecutionTrigger;
  @Column('text')
  status!: ExecutionAnswer['status'];
  /** Event that caused it. */
  @Column('text', { name: 'event_id' })
  eventId!: string;
  /** `rul_…` or `run_…`; null for a webhook. */
  @Column('text', { name: 'requested_by', nullable: true })
  requestedBy!: string | null;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
