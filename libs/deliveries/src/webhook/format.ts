import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { catalogue, isEventType } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { WebhookFormat } from '#libs/events/src/shapes/webhook-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

export interface Body {
  readonly text: string;
  readonly contentType: string;
}

const JSON_TYPE = 'application/json';

/**
 * An event as the body of a delivery: the same text every time, so that redeliveries are equal byte by byte. `data` is
 * passed on as the log holds it, so that large numbers and repeated keys of a payload arrive as they were sent.
 */
export function bodyOf(event: RecordedEvent, format: WebhookFormat): Body {
  const { source, subject, orgId, timestamp } = event.metadata;
  const data = dataText(event);
  const id = eventIdOf(event.id);
  switch (format) {
    case 'platform':
      return json({ id, type: event.type, source, subject, orgId, timestamp }, data);
    case 'compact':
      return json({ id, type: event.type, created_at: timestamp }, data);
    case 'standard':
      return json({ type: event.type, timestamp }, data);
    case 'cloudevents':
      return json(
        {
          specversion: '1.0',
          id,
          source,
          type: event.type,
          // CloudEvents forbids an empty subject.
          ...(subject === '' ? {} : { subject }),
          time: timestamp,
          datacontenttype: JSON_TYPE,
          orgid: orgId,
        },
        data,
        'application/cloudevents+json',
      );
  }
}

/** A payload of its own, sent as it is. */
export const payloadBody = (payload: unknown): Body => ({ text: stringifyJson(payload), contentType: JSON_TYPE });

function json(head: object, data: string, contentType = JSON_TYPE): Body {
  return { text: `${stringifyJson(head).slice(0, -1)},"data":${data}}`, contentType };
}

/** The exact text, unless the event was written by an older version of its type and has to be lifted. */
function dataText(event: RecordedEvent): string {
  const current = isEventType(event.type) ? ((catalogue[event.type] as { version?: number }).version ?? 1) : undefined;
  const isOld = current !== undefined && event.metadata.schemaVersion < current;
  return isOld ? stringifyJson(event.data) : event.dataJson;
}
