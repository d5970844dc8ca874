import { type RecordedEvent, shownDataJson } from '#libs/event-store/src/event-store.js';
import type { QuarantineMark } from '#libs/event-store/src/runner/quarantine.table.js';
import { eventIdOf, type RequestMetadata } from '#libs/events/src/envelope.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/**
 * An event as JSON text, with its data byte for byte as the log has it: numbers beyond 2^53 and duplicate keys would
 * not survive being parsed and written again.
 */
export function eventJson(event: RecordedEvent, mark?: QuarantineMark): string {
  const {
    source,
    subject,
    orgId,
    timestamp,
    $correlationId,
    $causationId,
    hop,
    causedBy,
    actor,
    receivedAt,
    schemaVersion,
    request,
  } = event.metadata;
  const envelope = stringifyJson({ id: eventIdOf(event.id), type: event.type, source, subject, orgId, timestamp });
  const metadata = stringifyJson({
    position: String(event.position),
    stream: event.stream,
    revision: Number(event.revision),
    correlationId: eventIdOf($correlationId),
    causationId: $causationId === undefined ? null : eventIdOf($causationId),
    hop,
    ...(causedBy && { causedBy }),
    actor,
    receivedAt,
    schemaVersion,
    ...(request && { request: shownRequest(request) }),
    ...(mark && { quarantine: { reason: mark.reason, by: mark.by, at: mark.at } }),
  });
  return `${envelope.slice(0, -1)},"data":${shownDataJson(event)},"metadata":${metadata}}`;
}

/** Without the address for an answer, which is nobody's to see. */
function shownRequest({ replyTo: _, ...request }: RequestMetadata): Omit<RequestMetadata, 'replyTo'> {
  return request;
}
