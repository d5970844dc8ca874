import { Column, Entity, PrimaryColumn } from 'typeorm';

import type { DataOf } from '#libs/events/src/catalogue.js';
import type { RebuildAnswer } from '#libs/events/src/shapes/audit/projection-shape.js';

/** A rebuild or verification of a projection. How far it is, the worker writes; the rest follows from the log. */
@Entity({ schema: 'views', name: 'projection_rebuilds' })
export class RebuildView {
  @PrimaryColumn('text')
  id!: string;
  @Column('text')
  projection!: string;
  @Column('text')
  mode!: RebuildAnswer['mode'];
  @Column('text')
  status!: RebuildAnswer['status'];
  @Column('text', { name: 'requested_by' })
  requestedBy!: string;
  @Column('timestamptz', { name: 'requested_at' })
  requestedAt!: Date;
  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;
  @Column('bigint', { nullable: true })
  position!: string | null;
  @Column('bigint', { nullable: true })
  target!: string | null;
  @Column('bigint')
  events!: string;
  @Column('json', { name: 'result', nullable: true })
  result!: DataOf<'projection.rebuild_ended'> | null;
}
