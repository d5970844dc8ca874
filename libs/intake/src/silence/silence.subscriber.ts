import { Inject, Injectable } from '@nestjs/common';

import { appendOnce } from '#libs/event-store/src/append-once.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { SliceTable } from '#libs/event-store/src/slice-table.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { causedBy, ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';
import { WorkQueue } from '#libs/persistence/src/claims/work.js';
import { INBOUND_TYPES } from '#libs/plugin-sdk/src/inbound-types.js';

import { CHANGES_OF_SETTINGS, integration } from '../integration/integration.js';
import { SILENCES, type SilenceTask } from './silence.js';
import { type Watched, watchedOf } from './watched.js';

const ACTOR = 'integration/';

interface Row {
  readonly heardAt: Date | null;
  readonly silentAt: Date | null;
  readonly episodes: number;
}

/**
 * Notices when an integration is heard of. For each that says how often it expects something there is one row of work,
 * due when that time is over; whatever comes in moves it. While it is silent there is none.
 *
 * States of an integration: heard of → (nothing for as long as expected) silent → (something comes in) heard of. The news
 * of each change is one event of its own stream, at the revision that follows from the changes before: told once. Whatever
 * it was, it counts as heard of when it is enabled again, or changes how often it expects something.
 */
@Injectable()
export class WatchSilence implements Subscriber {
  readonly name = SILENCES;
  readonly reads = [...CHANGES_OF_SETTINGS, 'integration.silent', 'integration.heard_again', ...INBOUND_TYPES] as const;
  readonly writes = ['integration.heard_again'] as const;
  readonly gathers = true;
  private readonly states = new SliceTable(followers.watched, integration, CHANGES_OF_SETTINGS);
  readonly tables = [this.states];

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(WorkQueue) private readonly work: WorkQueue,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    /** The newest of each integration that has not been written down yet. */
    const heard = new Map<string, RecordedEvent>();
    const write = async (id: string): Promise<void> => {
      const event = heard.get(id);
      heard.delete(id);
      if (event) await this.heard(await context.transaction(), id, event);
    };
    for (const event of events) {
      if (event.is('integration.silent', 'integration.heard_again')) {
        const { integrationId } = event.data;
        await write(integrationId);
        await this.told(await context.transaction(), integrationId, event);
      } else if (event.is(...CHANGES_OF_SETTINGS)) {
        const { integrationId } = event.data;
        await write(integrationId);
        this.states.apply(event);
        await this.changed(await context.transaction(), integrationId, event);
      } else {
        const { actor } = event.metadata;
        const id = actor.startsWith(ACTOR) ? actor.slice(ACTOR.length) : '';
        if (this.watched(id)) heard.set(id, event);
      }
    }
    for (const id of [...heard.keys()]) await write(id);
  }

  private watched(id: string): Watched | undefined {
    return watchedOf(this.states.get(id));
  }

  /** What it expects has changed, or whether it receives at all: from now on it has the whole time again. */
  private async changed(tx: ViewTransaction, id: string, event: RecordedEvent): Promise<void> {
    if (!this.watched(id)) {
      await this.leftAlone(tx, id, event);
      return;
    }
    await tx.query(
      `insert into views.integration_watch (integration_id, since, position) values ($1, $2, $3)
       on conflict (integration_id) do update set since = excluded.since, position = excluded.position`,
      [id, event.created, String(event.position)],
    );
    const row = await this.row(tx, id);
    if (row && row.silentAt === null) await this.expect(tx, id, event, event.created, row);
  }

  /** How many changes there were stays known while it may be watched again: their stream goes on from there. */
  private async leftAlone(tx: ViewTransaction, id: string, event: RecordedEvent): Promise<void> {
    if (event.type === 'integration.deleted')
      await tx.query('delete from views.integration_watch where integration_id = $1', [id]);
    else
      await tx.query('update views.integration_watch set silent_at = null, position = $2 where integration_id = $1', [
        id,
        String(event.position),
      ]);
    await this.work.remove(tx, SILENCES, [id]);
  }

  private async heard(tx: ViewTransaction, id: string, event: RecordedEvent): Promise<void> {
    await tx.query('update views.integration_watch set heard_at = $2, position = $3 where integration_id = $1', [
      id,
      event.created,
      String(event.position),
    ]);
    const row = await this.row(tx, id);
    if (!row) return;
    if (row.silentAt === null) return this.expect(tx, id, event, event.created, row);
    const { orgId, name } = this.watched(id)!;
    const silentMs = Math.max(0, event.created.getTime() - row.silentAt.getTime());
    const draft = { type: 'integration.heard_again' as const, data: { integrationId: id, name, silentMs } };
    const ours = newEvent(draft, {
      id: uuid5(SILENCES, id, String(row.episodes)),
      orgId,
      actor: ENGINE,
      now: this.clock.now(),
      cause: causedBy(event),
      subject: `integration/${id}`,
    });
    // It may have been told before a crash, or by the event before this one.
    await appendOnce(this.store, streams.watch(id), [ours], BigInt(row.episodes - 1));
  }

  /** The news has been recorded: silent, or no longer. */
  private async told(tx: ViewTransaction, id: string, event: RecordedEvent): Promise<void> {
    // Told while it was being disabled: nobody waits for it any more.
    const silent = event.type === 'integration.silent' && this.watched(id) !== undefined;
    await tx.query(
      'update views.integration_watch set silent_at = $2, episodes = $3, position = $4 where integration_id = $1',
      [id, silent ? event.created : null, Number(event.revision) + 1, String(event.position)],
    );
    const row = await this.row(tx, id);
    if (silent || !row) await this.work.remove(tx, SILENCES, [id]);
    else await this.expect(tx, id, event, row.heardAt ?? event.created, row);
  }

  private async expect(tx: ViewTransaction, id: string, event: RecordedEvent, from: Date, row: Row): Promise<void> {
    const watched = this.watched(id);
    if (!watched) return;
    const { orgId, name, expectedEvery, expectedMs } = watched;
    const lastReceivedAt = row.heardAt?.toISOString() ?? null;
    const payload: SilenceTask = {
      integrationId: id,
      orgId,
      name,
      expectedEvery,
      lastReceivedAt,
      episodes: row.episodes,
    };
    const dueAt = timeAfter(from, expectedMs);
    await this.work.schedule(tx, [{ queue: SILENCES, key: id, dueAt, payload, position: event.position }]);
  }

  private async row(tx: ViewTransaction, id: string): Promise<Row | undefined> {
    const [row] = await tx.query<Row[]>(
      `select heard_at as "heardAt", silent_at as "silentAt", episodes
         from views.integration_watch where integration_id = $1`,
      [id],
    );
    return row;
  }
}
