import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { ApprovalStatus } from '#libs/events/src/shapes/run-shape.js';

/** What waits for approval, or did. */
@Entity({ schema: 'views', name: 'approvals' })
export class ApprovalView {
  @PrimaryColumn('uuid', { name: 'request_id' })
  requestId!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'run_id' })
  runId!: string;
  @Column('text')
  path!: string;
  @Column('text')
  workflow!: string;
  @Column('text')
  title!: string;
  @Column('text', { nullable: true })
  description!: string | null;
  @Column('json')
  form!: Record<string, unknown>;
  @Column('json')
  approvers!: string[];
  @Column('integer')
  count!: number;
  @Column('timestamptz', { nullable: true })
  until!: Date | null;
  @Column('timestamptz', { name: 'requested_at' })
  requestedAt!: Date;
  @Column('text')
  status!: ApprovalStatus;
}
