import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';

/** An agent as REST lists it; removed ones are kept for their executions. */
@Entity({ schema: 'views', name: 'agents' })
export class AgentView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text')
  name!: string;
  @Column('json')
  settings!: AgentSettings;
  @Column('boolean', { name: 'has_secret' })
  hasSecret!: boolean;
  @Column('boolean')
  removed!: boolean;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}
