import { Inject, Injectable } from '@nestjs/common';

import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { fold, typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { type Integration, integration, secretReferences } from './integration.js';

/** Keeps the list of integrations, and throws away the secrets that none of them names any more. */
@Injectable()
export class IntegrationProjection implements Subscriber {
  readonly name = followers.integrationViews;
  readonly reads = typesOf(integration);
  readonly writes = [];
  readonly keeps = { tables: ['integrations'], alsoWrites: ['integration_counters'], foldVersion: 1 } as const;

  constructor(@Inject(Secrets) private readonly secrets: Secrets) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const transaction = await context.transaction();
    for (const event of events)
      if (event.is(...this.reads)) await this.project(transaction, event, context.isRebuild === true);
  }

  private async project(
    transaction: ViewTransaction,
    event: RecordedEvent<(typeof this.reads)[number]>,
    isRebuild: boolean,
  ): Promise<void> {
    const id = event.data.integrationId;
    const [row] = await transaction.query<{ state: Integration; revision: string }[]>(
      'select state, revision from views.integrations where id = $1',
      [id],
    );
    // Folded into it before: to go back would throw away secrets that are in use.
    if (row && event.revision <= BigInt(row.revision)) return;
    const before = row?.state ?? integration.initial;
    const after = fold(integration, [event], before);
    const at = event.metadata.timestamp;
    if (after.kind === 'deleted') {
      await transaction.query('delete from views.integrations where id = $1', [id]);
      await transaction.query('delete from views.integration_counters where integration_id = $1', [id]);
    } else if (after.kind !== 'unknown')
      await transaction.query(
        `insert into views.integrations (id, org_id, state, revision, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict (id) do update
           set state = excluded.state, revision = excluded.revision, updated_at = excluded.updated_at`,
        [id, after.orgId, jsonColumn(after), event.revision.toString(), at],
      );
    if (isRebuild) return;
    const stillNamed = new Set(secretReferences(after));
    // Safe twice, and before the commit too.
    await this.secrets.remove(secretReferences(before).filter((reference) => !stillNamed.has(reference)));
  }
}
