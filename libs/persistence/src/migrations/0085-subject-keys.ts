import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Keys of the people of whom events have personal fields. The keys themselves are secrets (`subject-key/…`) and follow from
 * nothing: these two tables are no views. Of a person that comes back after an erasure there is another key.
 */
export class SubjectKeys implements MigrationInterface {
  readonly name = 'SubjectKeys0000000000085';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.subject_keys (
        name       text primary key,
        org_id     text not null,
        -- A keyed hash of the id that the sender gives the person.
        subject    text not null,
        created_at timestamptz not null default now(),
        erased_at  timestamptz
      );
      create unique index subject_keys_in_use on views.subject_keys (org_id, subject) where erased_at is null;
      create index subject_keys_by_subject on views.subject_keys (org_id, subject);
      -- Null costs no entry in the index: only events with personal fields have one.
      alter table views.events add column personal text;
      create index events_personal on views.events using gin (string_to_array(personal, ' ')) where personal is not null;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.events drop column personal; drop table views.subject_keys');
  }
}
