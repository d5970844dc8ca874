import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { IssueStatus } from '#libs/events/src/shapes/issue-shape.js';

/** An issue of the built-in tracker as it is now. */
@Entity({ schema: 'views', name: 'issues' })
export class IssueView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text')
  title!: string;
  @Column('text', { nullable: true })
  body!: string | null;
  @Column('text')
  status!: IssueStatus;
  @Column('text', { nullable: true })
  priority!: string | null;
  @Column('json')
  labels!: string[];
  @Column('text', { nullable: true })
  assignee!: string | null;
  @Column('text', { nullable: true })
  team!: string | null;
  @Column('text', { name: 'dedupe_key', nullable: true })
  dedupeKey!: string | null;
  /** How many it has. */
  @Column('integer')
  comments!: number;
  @Column('bigint')
  revision!: string;
  /** `rule/rul_…`, `run/run_…`, `token/tok_…`. */
  @Column('text', { name: 'created_by' })
  createdBy!: string;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** A comment on an issue. */
@Entity({ schema: 'views', name: 'issue_comments' })
export class IssueCommentView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'issue_id' })
  issueId!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('bigint')
  position!: string;
  @Column('text')
  body!: string;
  @Column('text', { name: 'created_by' })
  createdBy!: string;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}

/** Which open issue has a dedupe key: the state of `issues.open`, kept in the transaction of its checkpoint. */
@Entity({ schema: 'views', name: 'issue_keys' })
export class IssueKeyView {
  @PrimaryColumn('text', { name: 'org_id' })
  orgId!: string;
  @PrimaryColumn('text', { name: 'dedupe_key' })
  dedupeKey!: string;
  @Column('text', { name: 'issue_id' })
  issueId!: string;
}
