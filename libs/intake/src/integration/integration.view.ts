import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { Counter } from './counters.js';
import type { Integration } from './integration.js';

/** An integration as REST lists it. `state` holds references of secrets, never a secret. */
@Entity({ schema: 'views', name: 'integrations' })
export class IntegrationView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('jsonb')
  state!: Exclude<Integration, { kind: 'unknown' | 'deleted' }>;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}

/** How often what happened to the requests of an integration; written once a second, not derived from the log. */
@Entity({ schema: 'views', name: 'integration_counters' })
export class IntegrationCounterView {
  @PrimaryColumn('text', { name: 'integration_id' })
  integrationId!: string;
  @PrimaryColumn('text')
  counter!: Counter;
  @Column('bigint')
  count!: string;
  @Column('timestamptz', { name: 'last_at' })
  lastAt!: Date;
}
