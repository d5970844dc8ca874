import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { TriggerDecision } from '#libs/events/src/shapes/decision-shape.js';

/** What a trigger made of an event that started no run. Runs that started are in `views.runs`. */
@Entity({ schema: 'views', name: 'trigger_decisions' })
export class TriggerDecisionView {
  @PrimaryColumn('text', { name: 'event_id' })
  eventId!: string;
  @PrimaryColumn('text', { name: 'workflow_id' })
  workflowId!: string;
  @PrimaryColumn('smallint')
  trigger!: number;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'event_type' })
  eventType!: string;
  @Column('text')
  workflow!: string;
  @Column('text')
  version!: string;
  @Column('text')
  outcome!: TriggerDecision['outcome'];
  @Column('text', { name: 'run_id', nullable: true })
  runId!: string | null;
  @Column('text', { nullable: true })
  reason!: TriggerDecision['reason'] | null;
  @Column('text', { nullable: true })
  detail!: string | null;
  @Column('text', { nullable: true })
  error!: string | null;
  @Column('json', { nullable: true })
  failed!: TriggerDecision['failed'] | null;
  @Column('timestamptz')
  at!: Date;
}
