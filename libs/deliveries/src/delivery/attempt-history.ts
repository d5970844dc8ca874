import { type EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt, readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { WebhookFormat } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';

import { bodyOf, payloadBody } from '../webhook/format.js';
import type { Delivery } from './delivery.js';

type Outcome = RecordedEvent<'webhook.delivered' | 'webhook.failed'>;
/** What was sent and answered. Older versions recorded it as an event of its own, before the outcome. */
type Exchange = Pick<DataOf<'webhook.failed'>, 'startedAt' | 'request' | 'response'>;

/** One HTTP call of a delivery, as answers show it. */
export interface Attempt {
  readonly attempt: number;
  readonly at: string;
  readonly latencyMs: number;
  readonly outcome: 'delivered' | 'failed';
  /** Of the answer. */
  readonly status: number | null;
  readonly failureClass: string | null;
  readonly detail: string | null;
  readonly retryable: boolean | null;
  readonly retryAfter: number | null;
  /** `null` where nothing was sent. */
  readonly request: (Omit<NonNullable<Exchange['request']>, 'format'> & { readonly body: string | null }) | null;
  readonly response: NonNullable<Exchange['response']> | null;
}

type Carried = Pick<Delivery, 'id' | 'eventStream' | 'eventRevision'>;

/**
 * Every attempt of a delivery, from its stream. Bodies are not recorded with each attempt: they follow from the event,
 * byte by byte.
 */
export async function attemptsOf(store: EventStore, delivery: Carried): Promise<readonly Attempt[]> {
  const [events, carried] = await Promise.all([
    readWhole(store, streams.delivery(delivery.id)),
    readAt(store, delivery.eventStream, delivery.eventRevision),
  ]);
  const attempts: Attempt[] = [];
  let attempted: Exchange | undefined;
  for (const event of events) {
    if (event.is('delivery.attempted')) attempted = event.data;
    else if (event.is('webhook.delivered', 'webhook.failed')) {
      attempts.push(attemptOf(event, attempted ?? event.data, carried));
      attempted = undefined;
    }
  }
  return attempts;
}

function attemptOf(outcome: Outcome, exchange: Exchange, carried: RecordedEvent | undefined): Attempt {
  const { startedAt, request, response } = exchange;
  const { attempt, latencyMs } = outcome.data;
  const failure = outcome.is('webhook.failed') ? outcome.data : undefined;
  return {
    attempt,
    at: startedAt ?? outcome.metadata.timestamp,
    latencyMs,
    outcome: failure ? 'failed' : 'delivered',
    status: outcome.data.status ?? null,
    failureClass: failure?.failureClass ?? null,
    detail: failure?.detail ?? null,
    retryable: failure?.retryable ?? null,
    retryAfter: failure?.retryAfter ?? null,
    request: request ? { ...without(request), body: carried ? textOf(carried, request.format) : null } : null,
    response: response ?? null,
  };
}

const without = ({ method, url, headers, bodySha256, bodyBytes }: NonNullable<Exchange['request']>) => ({
  method,
  url,
  headers,
  bodySha256,
  bodyBytes,
});

const textOf = (event: RecordedEvent, format: string): string =>
  format === 'payload' && event.is('webhook.requested')
    ? payloadBody(event.data.payload).text
    : bodyOf(event, format as WebhookFormat).text;
