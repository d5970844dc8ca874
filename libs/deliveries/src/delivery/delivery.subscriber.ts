import {
  CORRELATION_EXHAUSTED,
  type CorrelationBudget,
  exhaustedInWords,
} from '#libs/event-index/src/correlation-budget.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { execute } from '#libs/event-store/src/command-handlers.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { Subscriber, SubscriberContext, ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { causedBy, ENGINE, eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { derivedId, uuid5 } from '#libs/kernel/src/ids.js';
import type { Work, WorkQueue } from '#libs/persistence/src/claims/work.js';

import { DisableWebhook, disable, webhook } from '../webhook/webhook.js';
import { WebhookTable } from '../webhook/webhook.table.js';
import { failedSince, saveDeliveries, saveHealth } from './delivery-rows.js';
import { ATTEMPTS, type AttemptTask, type Delivery, outcomeId, taskOf } from './delivery.js';
import { KeptRows } from './kept-rows.js';
import { hold, holdBacklog, PACE, settlePlaces, withdrawHeld } from './paced-attempts.adapter.js';
import { type EventPlace, placeOf, type RecentEvents, RecentPlaces } from './recent-events.js';
import { type Disabling, type Due, type Refusal, Schedule } from './schedule.js';

/** A row written so long after its event is written by a rebuild, or after an outage: look before sending. */
const LATE_MS = 2_000;
/** After these the attempts of a webhook may have to wait, or no longer. */
const REPACING = ['webhook.updated', 'webhook.disabled', 'webhook.deleted'] as const;
type Repacing = (typeof REPACING)[number];
/** How far back an event is looked for that a request names without saying where it is. */
const SEARCH = { pages: 40, size: 500 };

/**
 * Turns events into deliveries that are due, and outcomes into what becomes of them. One subscriber does both, so that
 * it sees a request and its outcome in the order of the log.
 */
export class ScheduleDeliveries implements Subscriber {
  readonly name = followers.scheduleDeliveries;
  readonly reads = 'all';
  readonly writes = ['action.refused', 'correlation.exhausted', 'webhook.disabled'] as const;
  readonly tables: readonly [WebhookTable, KeptRows];
  private readonly webhooks = new WebhookTable();
  private readonly kept = new KeptRows();
  private readonly recent = new RecentPlaces();

  constructor(
    private readonly store: EventStore,
    private readonly clock: Clock,
    private readonly work: WorkQueue,
    private readonly recentEvents: RecentEvents,
    private readonly budget: CorrelationBudget,
  ) {
    this.tables = [this.webhooks, this.kept];
  }

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    await this.budget.note(
      events,
      (type) => type === 'webhook.requested' || this.webhooks.subscribedTo(type).length > 0,
    );
    for (const event of events) {
      this.recent.note(event);
      this.recentEvents.add(event);
    }
    const places = await this.placesNamedBy(events);
    const { rows, health } = await this.kept.of(events, context);

    const spent = (event: RecordedEvent) =>
      this.budget.isSpent(event)
        ? { reason: CORRELATION_EXHAUSTED, detail: exhaustedInWords(this.budget.limit) }
        : undefined;
    const schedule = new Schedule(this.webhooks, rows, health, places, spent);
    for (const event of events) schedule.apply(event);
    await this.budget.tell();

    for (const refusal of schedule.refusals) await this.refuse(refusal);
    for (const disabling of schedule.disablings) await this.disable(disabling);
    const repaced = events.filter(
      (event): event is RecordedEvent<Repacing> =>
        event.is(...REPACING) && event.stream === streams.webhook(event.data.webhookId),
    );
    if (schedule.isEmpty && repaced.length === 0) return;
    crashPoint('deliveries.before-schedule');
    const tx = await context.transaction();
    settlePlaces(tx, schedule.outcomes.filter(this.isPaced));
    const due = [...schedule.due].filter(([id]) => {
      const row = schedule.changed.get(id)!;
      // The end of this attempt is read next: there is nothing to do about it.
      return this.isPaced(row) || !context.isKnown?.(outcomeId(id, row.attempts + 1));
    });
    await this.write(tx, schedule.changed, new Map(due));
    await this.withdraw(tx, schedule.withdrawn);
    await saveHealth(tx, [...schedule.health.values()]);
    this.kept.keepHealth(schedule.health.values());
    for (const event of schedule.recoveries) await this.recover(tx, event);
    await this.repace(tx, repaced);
  }

  private async write(tx: ViewTransaction, changed: ReadonlyMap<string, Delivery>, due: ReadonlyMap<string, Due>) {
    await this.save(tx, [...changed.values()]);
    const work = [...due].map(([id, asked]) => this.workOf(changed.get(id)!, asked));
    const held = work.filter(({ payload }) => this.isPaced(payload));
    await hold(tx, held);
    const isFree = (id: string): boolean => due.has(id) && !this.isPaced(changed.get(id)!);
    await this.work.remove(
      tx,
      ATTEMPTS,
      [...changed.keys()].filter((id) => !isFree(id)),
    );
    await this.work.schedule(tx, held.length === 0 ? work : work.filter(({ payload }) => !this.isPaced(payload)));
    await this.pace(tx, new Map(held.map(({ group, position }) => [group!, position])));
  }

  /** Whether the attempts of a delivery wait for the rate of its webhook. A test is waited for by a person. */
  private readonly isPaced = ({ webhookId, kind }: Pick<Delivery, 'webhookId' | 'kind'>): boolean =>
    webhookId !== null && kind !== 'test' && this.webhooks.get(webhookId)?.settings.rateLimit !== undefined;

  /** Something waits for the rate of these webhooks, from these positions on. */
  private pace(tx: ViewTransaction, webhooks: ReadonlyMap<string, bigint>): Promise<void> {
    const dueAt = this.clock.now();
    return this.work.schedule(
      tx,
      [...webhooks].map(([key, position]) => ({ queue: PACE, key, dueAt, payload: {}, position })),
    );
  }

  /** The rate of these webhooks may be another from now on, or none. */
  private async repace(tx: ViewTransaction, events: readonly RecordedEvent<Repacing>[]): Promise<void> {
    for (const { data } of events)
      if (this.webhooks.get(data.webhookId)?.settings.rateLimit) await holdBacklog(tx, this.work, data.webhookId);
    await this.pace(tx, new Map(events.map(({ data, position }) => [data.webhookId, position])));
  }

  /** Attempts that have begun go on, and their outcomes count. */
  private async withdraw(tx: ViewTransaction, withdrawn: Schedule['withdrawn']): Promise<void> {
    const rows = [...withdrawn].map(([key, { cause }]) => ({ key, cause }));
    const removed = [...(await withdrawHeld(tx, rows)), ...(await this.work.withdraw(tx, ATTEMPTS, rows))];
    await this.save(
      tx,
      removed.map((id) => withdrawn.get(id)!.row),
    );
  }

  private async save(tx: ViewTransaction, rows: readonly Delivery[]): Promise<void> {
    await saveDeliveries(tx, rows);
    this.kept.keep(rows);
  }

  private workOf(row: Delivery, { cause, position, askedAt }: Due): Work<AttemptTask> {
    const now = this.clock.now().getTime();
    const dueAt = new Date(row.nextAttemptAt!).getTime();
    // A first attempt is due at once, also where the clock of the log is ahead of ours.
    return {
      queue: ATTEMPTS,
      key: row.id,
      dueAt: new Date(row.attempts === 0 ? Math.min(dueAt, now) : dueAt),
      group: row.webhookId ?? hostOf(row.url!),
      payload: taskOf(row, cause, now - askedAt.getTime() > LATE_MS),
      position,
    };
  }

  private async recover(tx: ViewTransaction, event: RecordedEvent<'webhook.recovery_requested'>): Promise<void> {
    const { webhookId, since } = event.data;
    const again = new Schedule(this.webhooks, new Map(), new Map(), new Map());
    for (const row of await failedSince(tx, webhookId, since))
      again.again(row, derivedId('del', 'delivery', 'recovery', event.id, row.id), event);
    await this.write(tx, again.changed, again.due);
  }

  private async refuse({ event, data }: Refusal): Promise<void> {
    const { orgId, subject } = event.metadata;
    const refused = newEvent(
      { type: 'action.refused', data },
      {
        id: uuid5(this.name, 'refused', event.id),
        orgId,
        actor: ENGINE,
        subject,
        now: this.clock.now(),
        cause: causedBy(event),
      },
    );
    await appendOnce(this.store, streams.refused(this.name, event.id), [refused]);
  }

  private async disable({ webhookId, reason, detail, event }: Disabling): Promise<void> {
    const author = { orgId: event.metadata.orgId, actor: ENGINE, cause: causedBy(event) };
    const failedAt = new Date(event.metadata.timestamp);
    const command = new DisableWebhook(webhookId, author, reason, detail, failedAt);
    await execute(this.store, this.clock, webhook, disable, command);
  }

  /** Where the events are that requests name, by the request's UUID. */
  private async placesNamedBy(events: readonly RecordedEvent[]): Promise<Map<string, EventPlace>> {
    const places = new Map<string, EventPlace>();
    for (const event of events) {
      if (!event.is('webhook.requested')) continue;
      const place = await this.placeNamedBy(event);
      if (place) places.set(event.id, place);
    }
    return places;
  }

  private async placeNamedBy(request: RecordedEvent<'webhook.requested'>): Promise<EventPlace | undefined> {
    const uuid = eventUuidOf(request.data.eventId);
    if (uuid === undefined) return undefined;
    const recent = this.recent.get(uuid);
    if (recent) return recent;
    const told = request.data.event;
    if (told) {
      const found = await readAt(this.store, told.stream, told.revision);
      return found?.id === uuid ? placeOf(found) : undefined;
    }
    let after = request.position;
    for (let page = 0; page < SEARCH.pages; page++) {
      const { events, position, end } = await this.store.readAll({ after, direction: 'backwards', limit: SEARCH.size });
      const found = events.find(({ id }) => id === uuid);
      if (found) return placeOf(found);
      if (end) return undefined;
      after = position;
    }
    return undefined;
  }
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);
