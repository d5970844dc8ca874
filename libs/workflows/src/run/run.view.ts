import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { RunError, RunStatus, WorkflowTrigger } from '#libs/events/src/shapes/run-shape.js';

/** A run in lists. What happened in it is read from its stream. */
@Entity({ schema: 'views', name: 'runs' })
export class RunView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'workflow_id' })
  workflowId!: string;
  @Column('text')
  workflow!: string;
  @Column('text')
  version!: string;
  @Column('text')
  status!: RunStatus;
  @Column('text')
  trigger!: WorkflowTrigger;
  /** Place of the trigger in the text; null where a person or program asked for the run. */
  @Column('smallint', { name: 'trigger_index', nullable: true })
  triggerIndex!: number | null;
  @Column('text', { name: 'event_id', nullable: true })
  eventId!: string | null;
  @Column('text', { name: 'event_type', nullable: true })
  eventType!: string | null;
  @Column('uuid', { name: 'correlation_id', nullable: true })
  correlationId!: string | null;
  /** What of the inputs runs are found by. */
  @Column('jsonb', { nullable: true })
  inputs!: Record<string, unknown> | null;
  @Column('json', { nullable: true })
  error!: RunError | null;
  /** When something will happen next, where that is a time. */
  @Column('timestamptz', { nullable: true })
  until!: Date | null;
  @Column('timestamptz', { name: 'started_at' })
  startedAt!: Date;
  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;
}

/** What a run waits for, and where its outcome is once it is there. */
@Entity({ schema: 'views', name: 'run_requests' })
export class RunRequestView {
  @PrimaryColumn('uuid', { name: 'request_id' })
  requestId!: string;
  @Column('text', { name: 'run_id' })
  runId!: string;
  @Column('text', { name: 'outcome_stream', nullable: true })
  outcomeStream!: string | null;
  @Column('bigint', { name: 'outcome_revision', nullable: true })
  outcomeRevision!: string | null;
}

/** A run that a step of another run asked for. */
@Entity({ schema: 'views', name: 'run_children' })
export class RunChildView {
  @PrimaryColumn('uuid', { name: 'request_id' })
  requestId!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'parent_id' })
  parentId!: string;
  /** Of the step. */
  @Column('text')
  path!: string;
  @Column('text', { name: 'child_id' })
  childId!: string;
  @Column('text')
  workflow!: string;
  /** Whether it is cancelled when the parent ends first. */
  @Column('boolean', { name: 'is_bound' })
  isBound!: boolean;
  @Column('boolean', { name: 'is_over' })
  isOver!: boolean;
  /** Of the request in the log. */
  @Column('bigint')
  position!: string;
}
