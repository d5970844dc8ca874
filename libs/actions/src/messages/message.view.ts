import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { MessageAnswer, MessageStatus } from '#libs/events/src/shapes/actions/message-shape.js';

/** A message that was requested, and what became of it. */
@Entity({ schema: 'views', name: 'messages' })
export class MessageView {
  /** `evt_…` of the request. */
  @PrimaryColumn('text')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text')
  status!: MessageStatus;
  @Column('text')
  integration!: string;
  @Column('text', { name: 'integration_id', nullable: true })
  integrationId!: string | null;
  @Column('text', { nullable: true })
  provider!: string | null;
  @Column('text', { nullable: true })
  channel!: string | null;
  @Column('text', { name: 'thread_id', nullable: true })
  threadId!: string | null;
  /** Its beginning. */
  @Column('text')
  text!: string;
  @Column('json', { name: 'requested_by' })
  requestedBy!: MessageAnswer['requestedBy'];
  @Column('text', { name: 'event_id', nullable: true })
  eventId!: string | null;
  /** Where the log keeps the request. */
  @Column('text', { name: 'request_stream' })
  requestStream!: string;
  @Column('bigint', { name: 'request_revision' })
  requestRevision!: string;
  @Column('integer')
  attempts!: number;
  @Column('json', { nullable: true })
  error!: MessageAnswer['error'];
  @Column('timestamptz', { name: 'next_attempt_at', nullable: true })
  nextAttemptAt!: Date | null;
  @Column('text', { name: 'message_id', nullable: true })
  messageId!: string | null;
  @Column('timestamptz', { name: 'requested_at' })
  requestedAt!: Date;
  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
