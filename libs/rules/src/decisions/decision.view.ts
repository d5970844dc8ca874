import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Decision } from '#libs/events/src/types/rule.events.js';

/** A rule's verdict on one event. */
@Entity({ schema: 'views', name: 'decisions' })
export class DecisionView {
  @PrimaryColumn('text', { name: 'event_id' })
  eventId!: string;
  @PrimaryColumn('text', { name: 'rule_id' })
  ruleId!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  /** Of the event that recorded it. */
  @Column('bigint')
  position!: string;
  /** Place among the decisions recorded with it. */
  @Column('integer')
  ordinal!: number;
  @Column('text', { name: 'event_type' })
  eventType!: string;
  @Column('text', { name: 'rule_name' })
  ruleName!: string;
  @Column('integer', { name: 'rule_version' })
  ruleVersion!: number;
  @Column('text')
  outcome!: Decision['outcome'];
  @Column('json', { nullable: true })
  failed!: Decision['failed'] | null;
  @Column('text', { nullable: true })
  error!: string | null;
  @Column('json')
  actions!: Decision['actions'];
  @Column('timestamptz')
  at!: Date;
}

/** A request of a rule that another stage refused, or that failed, after it was decided. */
@Entity({ schema: 'views', name: 'action_refusals' })
export class ActionRefusalView {
  /** As in `actions` of the decision. */
  @PrimaryColumn('text', { name: 'request_id' })
  requestId!: string;
  @Column('text')
  reason!: string;
  @Column('text')
  detail!: string;
  /** It was tried, and failed. */
  @Column('boolean')
  failed!: boolean;
}
