import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent, type RawJson } from '#libs/event-store/src/new-event.js';
import type { DataOf, EventType } from '#libs/events/src/catalogue.js';
import type { Cause } from '#libs/events/src/envelope.js';
import type { WebhookSettings } from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { newId, uuid7 } from '#libs/kernel/src/ids.js';

export const ORG = 'org_00000000000000000000000001';
export const START = new Date('2026-01-01T00:00:00.000Z');

export interface Given {
  readonly stream?: string;
  readonly revision?: bigint;
  readonly orgId?: string;
  readonly cause?: Partial<Cause>;
  readonly at?: Date;
  readonly source?: string;
  readonly subject?: string;
}

let position = 0n;

/** An event as if it had been read from the log, after all those made before it. */
export function recorded<T extends EventType>(type: T, data: DataOf<T> | RawJson, given?: Given): RecordedEvent<T>;
export function recorded(type: string, data: object, given?: Given): RecordedEvent;
export function recorded(type: string, data: object, given: Given = {}): RecordedEvent {
  const id = uuid7();
  const at = given.at ?? START;
  const event = newEvent(
    { type, data, subject: given.subject ?? 'repository/acme/app' },
    {
      id,
      orgId: given.orgId ?? ORG,
      actor: 'test',
      now: at,
      source: given.source ?? 'github',
      ...(given.cause && { cause: { $correlationId: id, hop: 0, ...given.cause } }),
    },
  );
  position += 1n;
  const stream = given.stream ?? `test-${id}`;
  return new RecordedEvent(stream, given.revision ?? 0n, position, id, type, at, event.data, event.metadata);
}

export const settings = (more: Partial<WebhookSettings> = {}): WebhookSettings => ({
  url: 'https://example.com/hook',
  events: ['git.push'],
  format: 'platform',
  timeoutMs: 30_000,
  ...more,
});

/** A webhook that was set up. */
export function registered(
  more: Partial<WebhookSettings> = {},
  given: Given & { disabled?: boolean; id?: string } = {},
) {
  const webhookId = given.id ?? newId('whk');
  const event = recorded(
    'webhook.registered',
    {
      webhookId,
      secret: `${webhookId}/secret/1`,
      disabled: given.disabled ?? false,
      settings: settings(more),
    },
    { stream: streams.webhook(webhookId), ...given },
  );
  return { webhookId, event };
}
