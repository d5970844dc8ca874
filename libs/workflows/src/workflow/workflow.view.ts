import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Origin } from './workflow.js';

/** A workflow as it is now. */
@Entity({ schema: 'views', name: 'workflows' })
export class WorkflowView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text')
  name!: string;
  @Column('text')
  status!: 'active' | 'archived';
  /** The active one; of an archived workflow the last active one. */
  @Column('text')
  version!: string;
  @Column('text')
  origin!: Origin;
  @Column('text', { nullable: true })
  file!: string | null;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** A version of a workflow. It never changes. */
@Entity({ schema: 'views', name: 'workflow_versions' })
export class WorkflowVersionView {
  @PrimaryColumn('text', { name: 'workflow_id' })
  workflowId!: string;
  @PrimaryColumn('text')
  version!: string;
  @Column('integer')
  number!: number;
  @Column('text')
  source!: string;
  @Column('text')
  origin!: Origin;
  @Column('text', { nullable: true })
  file!: string | null;
  @Column('text', { name: 'saved_by' })
  savedBy!: string;
  @Column('timestamptz', { name: 'saved_at' })
  savedAt!: Date;
}
