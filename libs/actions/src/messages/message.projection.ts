import { Injectable } from '@nestjs/common';

import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Subscriber, SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { beginningUnlessSealed } from '#libs/events/src/personal/field-path.js';
import { eventIdOf, eventUuidOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { storable } from '#libs/kernel/src/text/text.js';
import { loadRows, type RowOf, type StoredRow, upsertRows } from '#libs/persistence/src/rows.adapter.js';

import { MessageView } from './message.view.js';

const OUTCOMES = ['message.attempt_failed', 'message.sent', 'message.failed'] as const;
/** Most characters of a text that a list shows. */
const SHOWN = 1_000;
type Row = RowOf<MessageView> | StoredRow<MessageView>;

/** Messages as rows: what was requested, and what became of it. */
@Injectable()
export class MessageProjection implements Subscriber {
  readonly name = followers.messageViews;
  readonly reads = ['message.requested', ...OUTCOMES] as const;
  readonly writes = [] as const;
  readonly gathers = true;
  readonly readsSealed = true;

  async handle(events: readonly RecordedEvent[], context: SubscriberContext): Promise<void> {
    const tx = await context.transaction();
    const earlier = events.flatMap((event) => (event.is(...OUTCOMES) ? [{ id: event.data.requestId }] : []));
    const rows = new Map<string, Row>((await loadRows(tx, MessageView, earlier)).map((row) => [String(row.id), row]));
    for (const event of events) {
      if (event.is('message.requested')) {
        const id = eventIdOf(event.id);
        if (!rows.has(id)) rows.set(id, requested(event));
      } else if (event.is(...OUTCOMES)) {
        const before = rows.get(event.data.requestId);
        const request = eventUuidOf(event.data.requestId);
        // The stream says who wrote.
        if (before && request !== undefined && event.stream === streams.message(request))
          rows.set(event.data.requestId, { ...before, ...outcomeOf(event) });
      }
    }
    await upsertRows(tx, MessageView, [...rows.values()]);
  }
}

function requested({ id, stream, revision, data, metadata }: RecordedEvent<'message.requested'>): RowOf<MessageView> {
  const { integration, channel, threadId, text, requestedBy, eventId } = data;
  return {
    id: eventIdOf(id),
    orgId: metadata.orgId,
    status: 'pending',
    integration: storable(integration),
    integrationId: null,
    provider: null,
    channel: channel === undefined ? null : storable(channel),
    threadId: threadId === undefined ? null : storable(threadId),
    text: storable(beginningUnlessSealed(text, SHOWN)),
    requestedBy,
    eventId: eventId || null,
    requestStream: stream,
    requestRevision: String(revision),
    attempts: 0,
    error: null,
    nextAttemptAt: null,
    messageId: null,
    requestedAt: metadata.timestamp,
    finishedAt: null,
  };
}

function outcomeOf(event: RecordedEvent<(typeof OUTCOMES)[number]>): Partial<RowOf<MessageView>> {
  const { attempt: attempts, integrationId = null } = event.data;
  const about = { attempts, integrationId, nextAttemptAt: null };
  const finishedAt = event.metadata.timestamp;
  if (event.is('message.sent')) {
    const { provider, channel, messageId, threadId } = event.data;
    return {
      ...about,
      status: 'sent',
      finishedAt,
      error: null,
      provider,
      ...(channel !== undefined && { channel: storable(channel) }),
      ...(threadId !== undefined && { threadId: storable(threadId) }),
      ...(messageId !== undefined && { messageId: storable(messageId) }),
    };
  }
  const { error } = event.data as { readonly error: MessageView['error'] };
  return event.is('message.attempt_failed')
    ? { ...about, error, nextAttemptAt: event.data.nextAttemptAt }
    : { ...about, error, status: 'failed', finishedAt };
}
