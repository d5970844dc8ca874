import type { Keyring } from '#libs/access/src/secrets/keyring.js';
import { type EventStore, type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { causedBy, eventIdOf, replyBelongsTo } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { Json } from '#libs/kernel/src/json.js';
import type { OutgoingMessage } from '#libs/plugin-sdk/src/services/define-messenger.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { misconfigured } from '#libs/plugin-sdk/src/services/define-tracker.js';

import type { Connection } from '../connections/connection.table.js';
import { originOf } from '../connections/origin.js';

type Requested = RecordedEvent<'message.requested'>;

/** What senders allow at the address that comes with an event, Slack above all. */
const REPLIES = 5;
const REPLY_MS = 30 * 60_000;

/** Works out where a message goes: to a channel, to where its event came from, or to the event's own address. */
export class MessageAddress {
  constructor(
    private readonly store: EventStore,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  /** @throws StepError where it has nowhere to go. */
  async of(request: Requested, connection: Connection, provider: Provider): Promise<OutgoingMessage> {
    const { channel, text, threadId, blocks, respond } = request.data;
    const origin = await originOf(this.store, request, connection);
    const event = origin?.data;
    if (event && provider.isOwnMessage?.(event) === true)
      throw misconfigured('message.own', 'The event is a message of this integration itself. It is not answered.');
    const replyTo = respond === true ? await this.replyTo(request, origin, connection) : undefined;
    if (replyTo === undefined && channel === undefined && event === undefined)
      throw misconfigured(
        'message.no_channel',
        'The message names no channel, and its event did not come in through this integration. Set "channel".',
      );
    return { channel, text, threadId, blocks: blocks as readonly Json[] | undefined, replyTo, event };
  }

  private async replyTo(
    request: Requested,
    origin: RecordedEvent | undefined,
    connection: Connection,
  ): Promise<string | undefined> {
    const sealed = origin?.metadata.request?.replyTo;
    // Bot Framework answers in the conversation of the event.
    if (origin && !sealed && connection.provider !== 'slack') return undefined;
    if (!origin || !sealed)
      throw misconfigured(
        'message.no_reply_address',
        'The event has no address for an answer: only commands and interactions of this integration do. Set "channel" instead of "respond".',
      );
    if (this.clock.now().getTime() - Date.parse(origin.metadata.receivedAt) > REPLY_MS)
      throw misconfigured(
        'message.reply_expired',
        'The event is older than 30 minutes: its address takes no answer. Set "channel".',
      );
    await this.countReply(request, origin);
    try {
      const bytes = Buffer.from(sealed.sealed, 'base64');
      return this.keyring.open({ keyId: sealed.keyId, bytes }, replyBelongsTo(connection.id));
    } catch {
      throw misconfigured('message.reply_unreadable', 'The address for the answer cannot be decrypted. Set "channel".');
    }
  }

  /** Takes one of the few answers that an event allows. The same request takes one only. */
  private async countReply(request: Requested, origin: RecordedEvent): Promise<void> {
    const stream = streams.reply(origin.id);
    const id = uuid5('message-reply', request.id);
    for (;;) {
      const taken = await readWhole(this.store, stream);
      if (taken.some((event) => event.id === id)) return;
      if (taken.length >= REPLIES)
        throw misconfigured(
          'message.replies_used_up',
          `The event was answered ${REPLIES} times, which is the most. Set "channel".`,
        );
      const { orgId, actor, subject } = request.metadata;
      const event = newEvent(
        { type: 'message.reply_taken', data: { eventId: eventIdOf(origin.id), requestId: eventIdOf(request.id) } },
        { id, orgId, actor, subject, now: this.clock.now(), cause: causedBy(request) },
      );
      try {
        await this.store.append(stream, [event], taken.at(-1)?.revision ?? 'no-stream');
        return;
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
      }
    }
  }
}
