import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Issues of the built-in tracker, their comments, and who holds which dedupe key. */
export class Issues implements MigrationInterface {
  readonly name = 'Issues0000000000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table views.issues (
        id         text primary key,
        org_id     text not null,
        title      text not null,
        body       text,
        status     text not null,
        priority   text,
        labels     json not null,
        assignee   text,
        team       text,
        dedupe_key text,
        comments   integer not null default 0,
        revision   bigint not null,
        created_by text not null,
        created_at timestamptz not null,
        updated_at timestamptz not null
      );
      create index issues_by_org on views.issues (org_id, id);

      create table views.issue_comments (
        id         text primary key,
        issue_id   text not null,
        org_id     text not null,
        position   bigint not null,
        body       text not null,
        created_by text not null,
        created_at timestamptz not null
      );
      create index issue_comments_by_issue on views.issue_comments (issue_id, position);

      -- The state of issues.open itself, written in the transaction of its checkpoint: which open issue has a key.
      create table views.issue_keys (
        org_id     text not null,
        dedupe_key text not null,
        issue_id   text not null,
        primary key (org_id, dedupe_key)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table views.issue_keys, views.issue_comments, views.issues');
  }
}
