import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { TestDelivery } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { derivedId } from '#libs/kernel/src/ids.js';

/** Somebody waits for a test: it gets less time than other deliveries. */
export const TEST_TIMEOUT_MS = 10_000;

/** Id of the delivery of a test. */
export const testDeliveryId = (webhookId: string, event: string): string =>
  derivedId('del', 'delivery', 'test', webhookId, event);

/** The first outcome of a delivery that is recorded after `position`, or `undefined` if there is none in time. */
export async function outcomeOf(
  store: EventStore,
  deliveryId: string,
  position: bigint,
  timeoutMs: number,
): Promise<RecordedEvent<'webhook.delivered' | 'webhook.failed'> | undefined> {
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), timeoutMs);
  const filter = { types: ['webhook.delivered', 'webhook.failed'], streamPrefixes: [streams.delivery(deliveryId)] };
  try {
    for await (const item of store.subscribe({ from: position, filter, signal: enough.signal })) {
      const outcome = item.kind === 'events' ? item.events[0] : undefined;
      if (outcome?.is('webhook.delivered', 'webhook.failed')) return outcome;
    }
    return undefined;
  } finally {
    clearTimeout(timer);
    enough.abort();
  }
}

/** Stands for the test of a webhook that is created without being switched on. */
export const SKIPPED: TestDelivery = {
  deliveryId: null,
  status: 'skipped',
  responseCode: null,
  latencyMs: null,
  failureClass: null,
  detail: 'The webhook is disabled. POST …/test sends a test anyway.',
};

/** A receiver that answered the test with a refusal may just not know the secret that was generated for it. */
export const withUnknownSecret = (test: TestDelivery): TestDelivery =>
  test.status !== 'failed' || test.responseCode === null
    ? test
    : {
        ...test,
        detail: `${(test.detail ?? 'the test failed').replace(/\.$/, '')}. The receiver did not have the generated secret yet: configure it there, then POST …/test. Or create the webhook with your own secret, or with "disabled": true.`,
      };
