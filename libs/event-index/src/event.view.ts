import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Where an event is in the log, and what it is found by. What it says stays in the log. */
@Entity({ schema: 'views', name: 'events' })
export class EventView {
  @PrimaryColumn('bigint')
  position!: string;
  @Column('uuid')
  id!: string;
  @Column('text')
  type!: string;
  @Column('text')
  source!: string;
  @Column('text')
  subject!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('timestamptz')
  timestamp!: Date;
  @Column('timestamptz', { name: 'received_at' })
  receivedAt!: Date;
  @Column('uuid')
  correlation!: string;
  @Column('uuid', { nullable: true })
  causation!: string | null;
  @Column('text')
  stream!: string;
  @Column('bigint')
  revision!: string;
  /** Names of the keys of its personal parts, with a blank between two; null where it has none. */
  @Column('text', { nullable: true })
  personal!: string | null;
}
