import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ schema: 'views', name: 'refused_requests' })
export class RefusedRequestView {
  @PrimaryColumn('bigint')
  id!: string;
  @Column('text', { name: 'org_id' })
  orgId!: string;
  @Column('text', { name: 'integration_id' })
  integrationId!: string;
  @Column('timestamptz')
  at!: Date;
  @Column('smallint')
  status!: number;
  @Column('text')
  code!: string;
  @Column('text')
  expected!: string;
  @Column('text', { nullable: true })
  cause!: string | null;
  @Column('text')
  method!: string;
  @Column('jsonb')
  headers!: Readonly<Record<string, string>>;
  @Column('bytea', { nullable: true })
  body!: Buffer | null;
  @Column('integer', { name: 'body_bytes' })
  bodyBytes!: number;
  @Column('text', { name: 'request_id' })
  requestId!: string;
  @Column('integer', { name: 'left_out' })
  leftOut!: number;
}
