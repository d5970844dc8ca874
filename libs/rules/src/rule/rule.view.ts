import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';

/** A rule as it is now. */
@Entity({ schema: 'views', name: 'rules' })
export class RuleView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text')
  name!: string;
  @Column('integer')
  version!: number;
  @Column('text')
  status!: 'enabled' | 'disabled' | 'archived';
  @Column('json')
  definition!: RuleDefinition;
  /** Of its stream; the ETag. */
  @Column('bigint')
  revision!: string;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** A rule as it was saved once. */
@Entity({ schema: 'views', name: 'rule_versions' })
export class RuleVersionView {
  @PrimaryColumn('text', { name: 'rule_id' })
  ruleId!: string;
  @PrimaryColumn('integer')
  version!: number;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('json')
  definition!: RuleDefinition;
  @Column('text', { name: 'saved_by' })
  savedBy!: string;
  @Column('timestamptz', { name: 'saved_at' })
  savedAt!: Date;
}
