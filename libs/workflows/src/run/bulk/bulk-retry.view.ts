import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { BulkRetryAnswer, RunFilter } from '#libs/events/src/shapes/run-shape.js';

/** A request to retry many runs, and how far it is. */
@Entity({ schema: 'views', name: 'bulk_retries' })
export class BulkRetryView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('json')
  filter!: RunFilter;
  /** Runs that matched when it was requested. */
  @Column('integer')
  count!: number;
  /** Runs a second. */
  @Column('integer')
  rate!: number;
  @Column('text')
  status!: BulkRetryAnswer['status'];
  @Column('integer')
  retried!: number;
  @Column('integer')
  refused!: number;
  @Column('text', { name: 'requested_by' })
  requestedBy!: string;
  @Column('timestamptz', { name: 'requested_at' })
  requestedAt!: Date;
  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;
}
