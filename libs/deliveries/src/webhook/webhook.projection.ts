import { Inject, Injectable } from '@nestjs/common';

import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { webhook } from './webhook.js';

/** Outbound webhooks as rows. When one is deleted its secrets go too. */
@Injectable()
export class WebhookProjection implements Subscriber {
  readonly name = followers.webhookViews;
  readonly reads = typesOf(webhook);
  readonly writes = [] as const;
  readonly keeps = { tables: ['webhooks'], foldVersion: 1 } as const;

  constructor(@Inject(Secrets) private readonly secrets: Secrets) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    for (const event of events)
      if (event.is(...this.reads) && event.stream === streams.webhook(event.data.webhookId))
        await this.project(event, await context.transaction(), context.isRebuild === true);
  }

  private async project(event: RecordedEvent, tx: ViewTransaction, isRebuild: boolean): Promise<void> {
    const at = event.metadata.timestamp;
    if (event.is('webhook.registered')) {
      const { webhookId, settings, secret, disabled } = event.data;
      const status = disabled ? 'disabled' : 'active';
      await tx.query(
        `insert into views.webhooks (id, org_id, secrets, status, created_at, updated_at, disabled_reason, settings)
         values ($1, $2, $3, $4, $5, $5, $6, $7) on conflict (id) do nothing`,
        [
          webhookId,
          event.metadata.orgId,
          stringifyJson([secret, ...(settings.headers ? [settings.headers.values] : [])]),
          status,
          at,
          disabled ? 'manual' : null,
          jsonColumn(settings),
        ],
      );
    } else if (event.is('webhook.updated')) {
      const { webhookId, settings } = event.data;
      await tx.query(
        'update views.webhooks set updated_at = $2, secrets = secrets || $3::jsonb, settings = $4 where id = $1',
        [webhookId, at, stringifyJson(settings.headers ? [settings.headers.values] : []), jsonColumn(settings)],
      );
    } else if (event.is('webhook.secret_rotated')) {
      const { webhookId, secret, previous } = event.data;
      await tx.query(
        'update views.webhooks set updated_at = $2, secrets = secrets || $3::jsonb, grace_until = $4 where id = $1',
        [webhookId, at, stringifyJson([secret]), previous[0]?.validUntil ?? null],
      );
    } else if (event.is('webhook.enabled')) await this.setStatus(tx, event.data.webhookId, at, 'active');
    else if (event.is('webhook.disabled')) {
      const { webhookId, reason, detail } = event.data;
      await this.setStatus(tx, webhookId, at, 'disabled', reason, detail);
    } else if (event.is('webhook.deleted')) await this.forget(tx, event.data.webhookId, isRebuild);
  }

  private setStatus(tx: ViewTransaction, id: string, at: string, status: string, reason?: string, detail?: string) {
    return tx.query(
      `update views.webhooks set updated_at = $2, status = $3, disabled_reason = $4, disabled_detail = $5 where id = $1`,
      [id, at, status, reason ?? null, detail ?? null],
    );
  }

  private async forget(tx: ViewTransaction, id: string, isRebuild: boolean): Promise<void> {
    const [row] = await tx.query<{ secrets: string[] }[]>('select secrets from views.webhooks where id = $1', [id]);
    if (!row) return;
    if (!isRebuild) await this.secrets.remove(row.secrets);
    await tx.query('delete from views.webhooks where id = $1', [id]);
  }
}
