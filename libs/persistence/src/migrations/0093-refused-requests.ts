import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Requests that integrations refused, the newest of each; and when people of an organisation were erased. */
export class RefusedRequests implements MigrationInterface {
  readonly name = 'RefusedRequests0000000000093';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.refused_requests (
        id             bigint generated always as identity primary key,
        org_id         text not null,
        integration_id text not null,
        at             timestamptz not null,
        status         smallint not null,
        code           text not null,
        expected       text not null,
        cause          text,
        method         text not null,
        headers        jsonb not null,
        -- Encrypted under the key of its day.
        body           bytea,
        body_bytes     integer not null,
        request_id     text not null,
        left_out       integer not null
      );
      create index refused_requests_by_integration on views.refused_requests (integration_id, id desc);
      create index refused_requests_by_time on views.refused_requests (at);
      create table views.refused_erasures (org_id text primary key, at timestamptz not null)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.refused_erasures; drop table views.refused_requests');
  }
}
