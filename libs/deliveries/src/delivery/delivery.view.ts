import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { FailureClass } from '#libs/egress/src/egress.js';
import type { SecretPlace } from '#libs/events/src/secrets/secret-places.js';

import type { DeliveryKind } from './delivery.js';

/** One event to one webhook, as it stands. Its attempts are in its stream. */
@Entity({ schema: 'views', name: 'deliveries' })
export class DeliveryView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'root_id' })
  rootId!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'webhook_id', nullable: true })
  webhookId!: string | null;
  @Column('text', { nullable: true })
  url!: string | null;
  @Column('text')
  kind!: DeliveryKind;
  @Column('text', { name: 'event_id' })
  eventId!: string;
  @Column('text', { name: 'event_type' })
  eventType!: string;
  @Column('text', { name: 'event_stream' })
  eventStream!: string;
  @Column('bigint', { name: 'event_revision' })
  eventRevision!: string;
  @Column('boolean', { name: 'own_payload' })
  ownPayload!: boolean;
  @Column('json', { nullable: true })
  secrets!: readonly SecretPlace[] | null;
  @Column('text')
  status!: 'pending' | 'success' | 'failed';
  @Column('integer')
  attempts!: number;
  @Column('integer', { name: 'response_code', nullable: true })
  responseCode!: number | null;
  @Column('integer', { name: 'latency_ms', nullable: true })
  latencyMs!: number | null;
  @Column('text', { name: 'failure_class', nullable: true })
  failureClass!: FailureClass | null;
  @Column('integer', { name: 'retry_after', nullable: true })
  retryAfter!: number | null;
  @Column('timestamptz', { name: 'last_attempt_at', nullable: true })
  lastAttemptAt!: Date | null;
  @Column('timestamptz', { name: 'next_attempt_at', nullable: true })
  nextAttemptAt!: Date | null;
  @Column('text', { name: 'redelivery_of', nullable: true })
  redeliveryOf!: string | null;
  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
  @Column('bigint')
  position!: string;
}
