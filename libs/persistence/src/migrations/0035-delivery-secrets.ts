import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where secrets are put into a delivery: names and places, never values. */
export class DeliverySecrets implements MigrationInterface {
  readonly name = 'DeliverySecrets0000000000035';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.deliveries add column secrets json');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table views.deliveries drop column secrets');
  }
}
