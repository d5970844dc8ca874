import { Inject, Injectable } from '@nestjs/common';

import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { typesOf } from '#libs/event-store/src/command-handlers.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { jsonColumn } from '#libs/persistence/src/rows.adapter.js';

import { agent } from './agent.js';

/** Agents as rows. */
@Injectable()
export class AgentProjection implements Subscriber {
  readonly name = followers.agentViews;
  readonly reads = typesOf(agent);
  readonly writes = [] as const;
  readonly keeps = { tables: ['agents'], foldVersion: 1 } as const;

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Secrets) private readonly secrets: Secrets,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    for (const event of events) {
      if (event.is('agent.registered', 'agent.updated')) await this.saved(tx, event, context);
      else if (event.is('agent.removed')) await this.removed(tx, event, context);
    }
  }

  private async removed(
    tx: ViewTransaction,
    { data: { agentId }, metadata }: RecordedEvent<'agent.removed'>,
    { isRebuild }: SubscriberContext,
  ): Promise<void> {
    await tx.query('update views.agents set removed = true, updated_at = $2 where id = $1', [
      agentId,
      metadata.timestamp,
    ]);
    if (!isRebuild) await this.forgetSecrets(agentId);
  }

  /**
   * Throws away the secrets that the agent does not name any more. Safe twice, and before the commit too: by then the
   * stream says which one is the last, whichever of its events is handled.
   */
  private async forgetSecrets(agentId: string): Promise<void> {
    const events = await readWhole(this.store, streams.agent(agentId));
    const named = events.flatMap((event) =>
      event.is('agent.registered', 'agent.updated') && event.data.secret !== undefined ? [event] : [],
    );
    const isRemoved = events.some(({ type }) => type === 'agent.removed');
    const last = isRemoved ? undefined : named.at(-1);
    const inGrace = last?.is('agent.updated') ? (last.data.previous ?? []).map((one) => one.secret) : [];
    const kept = new Set([last?.data.secret, ...inGrace]);
    const gone = named.flatMap(({ data: { secret } }) => (secret === undefined || kept.has(secret) ? [] : [secret]));
    if (gone.length > 0) await this.secrets.remove(gone);
  }

  private async saved(
    tx: ViewTransaction,
    { data, metadata }: RecordedEvent<'agent.registered' | 'agent.updated'>,
    { isRebuild }: SubscriberContext,
  ): Promise<void> {
    const { agentId, settings, secret } = data;
    await tx.query(
      `insert into views.agents as known (id, org_id, name, settings, has_secret, removed, created_at, updated_at)
       values ($1, $2, $3, $4, $5, false, $6, $6)
       on conflict (id) do update set name = excluded.name, settings = excluded.settings,
         has_secret = known.has_secret or excluded.has_secret, updated_at = excluded.updated_at`,
      [agentId, metadata.orgId, settings.name, jsonColumn(settings), secret !== undefined, metadata.timestamp],
    );
    if (secret !== undefined && !isRebuild) await this.forgetSecrets(agentId);
  }
}
