import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { ReplayAnswer, ReplayRequest, ReplayStatus } from '#libs/events/src/shapes/audit/replay-shape.js';

/** A replay, as the log tells of it. How far it is stands in `views.replay_progress`. */
@Entity({ schema: 'views', name: 'replays' })
export class ReplayView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('json')
  request!: ReplayRequest;
  /** Position of the newest event at the time of the request. */
  @Column('bigint', { name: 'up_to' })
  upTo!: string;
  @Column('text')
  status!: ReplayStatus;
  @Column('text', { name: 'requested_by' })
  requestedBy!: string;
  @Column('timestamptz', { name: 'requested_at' })
  requestedAt!: Date;
  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;
  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;
  @Column('json', { nullable: true })
  error!: ReplayAnswer['error'] | null;
}
