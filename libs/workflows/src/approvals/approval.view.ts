import { Column, Entity, PrimaryColumn } from 'typeorm';

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
  form!: object;
  @Column('json')
  approvers!: readonly string[];
  @Column('integer')
  count!: number;
  @Column('timestamptz', { nullable: true })
  until!: Date | null;
  @Column('timestamptz', { name: 'requested_at' })
  requestedAt!: Date;
  /** `over`: the run no longer waits for it. */
  @Column('text')
  status!: 'waiting' | 'approved' | 'rejected' | 'over';
}
