import { Column, Entity, PrimaryColumn } from 'typeorm';

import type {
  ExecutionAnswer,
  ExecutionTrigger,
  ExecutionUsage,
} from '#libs/events/src/shapes/agents/execution-shape.js';

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
  /** Event that caused it; empty if none did. */
  @Column('text', { name: 'event_id' })
  eventId!: string;
  /** `rul_…` or `run_…`. */
  @Column('text', { name: 'requested_by', nullable: true })
  requestedBy!: string | null;
  /** Where the log keeps the request. */
  @Column('text', { name: 'request_stream' })
  requestStream!: string;
  @Column('bigint', { name: 'request_revision' })
  requestRevision!: string;
  @Column('json', { nullable: true })
  usage!: ExecutionUsage | null;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;
  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}

/** What ties an execution to a run: it waits for the run that it requested, or works for a step of `parentRun`. */
@Entity({ schema: 'views', name: 'agent_links' })
export class ExecutionLinkView {
  /** UUID of the request. */
  @PrimaryColumn('uuid')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'execution_id' })
  executionId!: string;
  @Column('text', { name: 'parent_run', nullable: true })
  parentRun!: string | null;
  @Column('text', { name: 'request_stream' })
  requestStream!: string;
  @Column('bigint', { name: 'request_revision' })
  requestRevision!: string;
  @Column('bigint')
  position!: string;
}
