import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The state of `rules.decide`, kept in the transaction of its checkpoint. Numbers are milliseconds since 1970. */

/** How much of a throttle's limit is used, or whether a burst goes on of which the first match acts. */
@Entity({ schema: 'views', name: 'rule_throttles' })
export class ThrottleView {
  @PrimaryColumn('text', { name: 'rule_id' })
  ruleId!: string;
  @PrimaryColumn('text')
  key!: string;
  @Column('bigint', { name: 'started_at' })
  startedAt!: string;
  @Column('integer')
  used!: number;
  @Column('bigint', { name: 'ends_at' })
  endsAt!: string;
}

/** A burst of matches of which the last acts. */
@Entity({ schema: 'views', name: 'rule_bursts' })
export class BurstView {
  @PrimaryColumn('text', { name: 'rule_id' })
  ruleId!: string;
  @PrimaryColumn('text')
  key!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'rule_name' })
  ruleName!: string;
  @Column('integer', { name: 'rule_version' })
  ruleVersion!: number;
  @Column('text', { name: 'event_id' })
  eventId!: string;
  @Column('bigint')
  position!: string;
  @Column('bigint', { name: 'started_at' })
  startedAt!: string;
  @Column('bigint', { name: 'due_at' })
  dueAt!: string;
}
