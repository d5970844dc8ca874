import { maskerOf, type NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import type { Egress, EgressOutcome } from '#libs/egress/src/egress.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { type EventDraft, newEvent } from '#libs/event-store/src/new-event.js';
import { readAt, readLast } from '#libs/event-store/src/reading.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { withSecrets } from '#libs/events/src/secrets/secret-places.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { type WebhookFormat, type WebhookSettings, webhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { SUBJECT_ERASED } from '#libs/events/src/personal/field-path.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { ATTEMPTS, type AttemptTask, outcomeCause, outcomeId } from '../delivery/delivery.js';
import type { RecentEvents } from '../delivery/recent-events.js';
import { type Body, bodyOf, payloadBody } from '../webhook/format.js';
import { TEST_TIMEOUT_MS } from '../webhook/test-delivery.js';
import type { WebhookTable } from '../webhook/webhook.table.js';
import type { CredentialCache, WebhookCredentials } from './credentials.js';
import { masked, outgoing, recordedRequest, recordedResponse } from './outgoing.js';
import { type AttemptResult, resultOf, withheld } from './attempt-result.js';

/** What was sent and answered, as it is recorded; what is absent did not happen. */
type Exchange = Pick<DataOf<'webhook.failed'>, 'request' | 'response'>;

/** The revision of a delivery's stream before an attempt. */
type Before = bigint | 'no-stream';

type Outcome = RecordedEvent<'webhook.delivered' | 'webhook.failed'>;

/** Where an attempt goes, and how. */
interface Receiver {
  readonly settings: Omit<WebhookSettings, 'events'>;
  readonly credentials: WebhookCredentials;
}

export interface AttemptDeliveryParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly egress: Egress;
  readonly progress: Progress;
  readonly webhooks: WebhookTable;
  readonly credentials: CredentialCache;
  readonly recent: RecentEvents;
  readonly secrets: Pick<NamedSecretValues, 'of'>;
}

/**
 * Makes one attempt of one delivery: signs, sends, classifies, records. The outcome has one place in the delivery's
 * stream, so that a process that lost its claim meanwhile cannot record a second one.
 */
export class AttemptDelivery implements Worker<AttemptTask> {
  readonly queue = ATTEMPTS;
  readonly concurrency = 256;
  readonly perGroup = { first: 8, most: 64 };
  readonly writes = ['webhook.delivered', 'webhook.failed'] as const;

  constructor(private readonly parts: AttemptDeliveryParts) {}

  async run(work: ClaimedWork<AttemptTask>, signal: AbortSignal): Promise<WorkDone> {
    const { clock, egress, progress, webhooks, recent } = this.parts;
    const task = work.payload;
    const earlier = work.claims > 1 || task.late || task.attempt > 1 ? await this.lastOutcome(task) : undefined;
    // An earlier try got as far as the outcome.
    if (earlier && earlier.data.attempt >= task.attempt) return { position: earlier.position };
    const before = earlier?.revision ?? 'no-stream';
    // Also where another process scheduled this: settings that were changed before the event hold for it.
    await progress.whenProcessed(webhooks.name, work.position);
    const startedAt = clock.now();
    const receiver = await this.receiverOf(task, startedAt);
    if (typeof receiver === 'string') return this.record(task, before, startedAt, {}, withheld(receiver));
    const event =
      recent.get(task.eventStream, task.eventRevision) ??
      (await readAt(this.parts.store, task.eventStream, task.eventRevision));
    if (!event) return this.record(task, before, startedAt, {}, withheld('The event is no longer in the log.'));
    if (event.isErased) return this.record(task, before, startedAt, {}, withheld(ERASED_DETAIL));

    const values = await this.secretsOf(task);
    if (typeof values === 'string') return this.record(task, before, startedAt, {}, withheld(values));
    const { settings, credentials } = receiver;
    const { url, format, timeoutMs } = settings;
    const body = bodyFor(task, event, format, values);
    const message = outgoing(task, body, credentials, settings, startedAt);
    crashPoint('deliveries.before-effect');
    const outcome = await egress.request({
      method: 'POST',
      url: withSecrets({ url }, task.secrets ?? [], values).url,
      headers: message.headers,
      body: message.body,
      timeoutMs,
      signal,
    });
    crashPoint('deliveries.after-effect');
    const shown = values.size === 0 ? message : { ...message, body: bodyFor(task, event, format).text };
    const request = recordedRequest(url, shown, task.ownPayload ? 'payload' : format);
    const [secrets, headers] = [maskerOf(values), masked(credentials.headers)];
    const response = answerOf(outcome, (text) => secrets.text(headers(text)));
    const result = secrets.value(resultOf(outcome, clock.now()));
    const done = await this.record(task, before, startedAt, { request, ...(response && { response }) }, result);
    crashPoint('deliveries.after-outcome');
    return done;
  }

  /** Where an attempt goes, or why nothing may be sent. */
  private async receiverOf({ webhookId, url, kind }: AttemptTask, now: Date): Promise<Receiver | string> {
    // A receiver that is named by nothing but its URL.
    if (webhookId === null)
      return { settings: withDefaults(webhookSettings, { url: url! }), credentials: { secrets: [], headers: {} } };
    const webhook = this.parts.webhooks.get(webhookId);
    if (!webhook) return 'The webhook was deleted: nothing was sent.';
    if (!webhook.active && kind !== 'test')
      return 'The webhook is disabled: nothing was sent. Enable it, then redeliver.';
    const { timeoutMs } = webhook.settings;
    return {
      settings: { ...webhook.settings, ...(kind === 'test' && { timeoutMs: Math.min(timeoutMs, TEST_TIMEOUT_MS) }) },
      credentials: await this.parts.credentials.of(webhook, now),
    };
  }

  /** The values of the secrets of the delivery, or why nothing may be sent. */
  private async secretsOf({ orgId, secrets = [] }: AttemptTask): Promise<ReadonlyMap<string, string> | string> {
    const names = secrets.map(({ name }) => name);
    const values = await this.parts.secrets.of(orgId, names);
    const missing = names.find((name) => !values.has(name));
    return missing === undefined
      ? values
      : `There is no secret "${missing}": nothing was sent. Set it, then redeliver.`;
  }

  /** The outcome that the delivery's stream ends with. The revision of older outcomes does not follow from their number. */
  private async lastOutcome({ deliveryId }: AttemptTask): Promise<Outcome | undefined> {
    const last = await readLast(this.parts.store, streams.delivery(deliveryId));
    return last?.is('webhook.delivered', 'webhook.failed') ? last : undefined;
  }

  private async record(
    task: AttemptTask,
    before: Before,
    startedAt: Date,
    exchange: Exchange,
    result: AttemptResult,
  ): Promise<WorkDone> {
    const { store, clock } = this.parts;
    const { deliveryId, webhookId, attempt } = task;
    const event = newEvent(outcomeDraft(task, startedAt, exchange, result), {
      id: outcomeId(deliveryId, attempt),
      orgId: task.orgId,
      actor: ENGINE,
      now: clock.now(),
      subject: webhookId === null ? `delivery/${deliveryId}` : `webhook/${webhookId}`,
      cause: outcomeCause(task.cause, task, result.kind === 'failed'),
    });
    const { position } = await appendOnce(store, streams.delivery(deliveryId), [event], before);
    return { position, hasFailed: result.kind === 'failed' };
  }
}

const ERASED_DETAIL = `${SUBJECT_ERASED}: the event has fields of a person who was erased. Nothing was sent.`;

/** @param values of secrets; without them the body has their names, as it is shown. */
function bodyFor(
  { ownPayload, secrets = [] }: AttemptTask,
  event: RecordedEvent,
  format: WebhookFormat,
  values: ReadonlyMap<string, string> = new Map(),
): Body {
  if (!ownPayload || !event.is('webhook.requested')) return bodyOf(event, format);
  return payloadBody(withSecrets({ payload: event.data.payload }, secrets, values).payload);
}

function answerOf(outcome: EgressOutcome, mask: (text: string) => string): Exchange['response'] {
  if (outcome.kind === 'response')
    return recordedResponse(outcome.status, outcome.headers, outcome.body, outcome.truncated, mask);
  const { status, headers } = outcome;
  return status === undefined ? undefined : recordedResponse(status, headers ?? {}, Buffer.alloc(0), true, mask);
}

/** What happened, as one event. */
function outcomeDraft(
  { deliveryId, webhookId, eventId, eventType, attempt, kind }: AttemptTask,
  startedAt: Date,
  exchange: Exchange,
  result: AttemptResult,
): EventDraft {
  const { latencyMs } = result;
  const about = {
    ...{ deliveryId, ...(webhookId !== null && { webhookId }), eventId, eventType },
    ...{ attempt, latencyMs, startedAt: startedAt.toISOString(), ...exchange },
  };
  if (result.kind === 'delivered') return { type: 'webhook.delivered', data: { ...about, status: result.status } };
  const { kind: _, ...failure } = result;
  // A test is for the person who waits for its outcome: a later retry would be of no use.
  const retryable = result.retryable && kind !== 'test';
  return { type: 'webhook.failed', data: { ...about, ...failure, retryable } };
}
