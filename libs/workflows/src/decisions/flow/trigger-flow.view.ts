import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { EventPlace } from '#libs/events/src/types/workflow.events.js';

/** The state of `workflows.trigger`, kept in the transaction of its checkpoint. Numbers are milliseconds since 1970. */

/** How much of a throttle's limit is used. */
@Entity({ schema: 'views', name: 'trigger_windows' })
export class TriggerWindowView {
  @PrimaryColumn('text', { name: 'trigger_id' })
  triggerId!: string;
  @PrimaryColumn('text')
  key!: string;
  @Column('bigint', { name: 'started_at' })
  startedAt!: string;
  @Column('integer')
  used!: number;
  @Column('bigint', { name: 'ends_at' })
  endsAt!: string;
}

/** Events that wait for the end of a burst or batch. */
@Entity({ schema: 'views', name: 'trigger_groups' })
export class TriggerGroupView {
  @PrimaryColumn('text', { name: 'trigger_id' })
  triggerId!: string;
  @PrimaryColumn('text')
  key!: string;
  @Column('bigint', { name: 'started_at' })
  startedAt!: string;
  @Column('bigint', { name: 'due_at' })
  dueAt!: string;
  @Column('json')
  events!: readonly EventPlace[];
}
