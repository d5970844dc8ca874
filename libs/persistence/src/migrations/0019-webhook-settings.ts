import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The settings of an outbound webhook as one document, as the log has them: a new one needs no column. */
export class WebhookSettings implements MigrationInterface {
  readonly name = 'WebhookSettings0000000000019';

  async up(runner: QueryRunner): Promise<void> {
    // The values of headers were not among the columns: the last reference of theirs is the one in force.
    await runner.query(`
      alter table views.webhooks add column settings json;
      update views.webhooks w set settings = json_strip_nulls(json_build_object(
        'url', url, 'events', events, 'format', format, 'timeoutMs', timeout_ms,
        'filter', filter, 'signatureHeader', signature_header,
        'headers', case when jsonb_array_length(header_names) > 0 then json_build_object(
          'names', header_names,
          'values', (select reference from jsonb_array_elements_text(w.secrets) with ordinality as s (reference, n)
                      where starts_with(reference, w.id || '/headers/') order by n desc limit 1)) end));
      alter table views.webhooks alter column settings set not null,
        drop column url, drop column events, drop column format, drop column filter, drop column header_names,
        drop column signature_header, drop column timeout_ms;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table views.webhooks
        add column url text, add column events jsonb, add column format text, add column filter text,
        add column header_names jsonb, add column signature_header text, add column timeout_ms integer;
      update views.webhooks set url = settings ->> 'url', events = (settings -> 'events')::jsonb,
        format = settings ->> 'format', filter = settings ->> 'filter',
        header_names = coalesce((settings #> '{headers,names}')::jsonb, '[]'::jsonb),
        signature_header = settings ->> 'signatureHeader', timeout_ms = (settings ->> 'timeoutMs')::integer;
      alter table views.webhooks alter column url set not null, alter column events set not null,
        alter column format set not null, alter column header_names set not null,
        alter column timeout_ms set not null, drop column settings;
    `);
  }
}
