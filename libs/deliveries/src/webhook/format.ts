import { type RecordedEvent, shownDataJson } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { WebhookFormat } from '#libs/events/src/shapes/webhook-shape.js';
import { withoutAddresses } from '#libs/events/src/shown-ids.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

export interface Body {
  readonly text: string;
  readonly contentType: string;
}

const JSON_TYPE = 'application/json';

/**
 * An event as the body of a delivery: the same text every time, so that redeliveries are equal byte by byte. `data` is
 * passed on as the log holds it, so that large numbers and repeated keys of a payload arrive as they were sent. Ids of
 * integrations and agents, at which anybody could send, are replaced.
 */
export function bodyOf(event: RecordedEvent, format: WebhookFormat): Body {
  const { source, subject, orgId, timestamp } = event.metadata;
  const data = shownDataJson(event);
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

/** A payload of its own. What a template put into it of an event, such as its subject, names addresses too. */
export const payloadBody = (payload: unknown): Body => ({
  text: withoutAddresses(stringifyJson(payload)),
  contentType: JSON_TYPE,
});

function json(head: object, data: string, contentType = JSON_TYPE): Body {
  return { text: withoutAddresses(`${stringifyJson(head).slice(0, -1)},"data":${data}}`), contentType };
}
