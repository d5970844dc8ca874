import type { MigrationInterface, QueryRunner } from 'typeorm';

import { followers } from '#libs/events/src/followers.js';

/** Events are found by when they were received, which only the log knows of those that are indexed: it is read once more. */
export class ReceivedAt implements MigrationInterface {
  readonly name = 'ReceivedAt0000000000027';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      truncate views.events;
      delete from views.checkpoints where name = '${followers.eventIndex}';
      alter table views.events add column received_at timestamptz not null;
      -- Rises with positions but for the clocks of several processes: a summary of each block is enough.
      create index events_received on views.events using brin (received_at) with (pages_per_range = 32);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.events drop column received_at');
  }
}
