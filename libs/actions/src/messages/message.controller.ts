import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import {
  MessageAnswer,
  MessageDetail,
  MessageStatus,
  NewMessage,
} from '#libs/events/src/shapes/actions/message-shape.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { type Uuid, uuid5, uuid7 } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import { readPage } from '#libs/persistence/src/paging.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { ConnectionTable } from '../connections/connection.table.js';
import { MessageView } from './message.view.js';

const STATUSES = MessageStatus.anyOf.map(({ const: status }) => status);

/** Messages to chats: of rules, runs and agents, and those that are sent here. */
@ApiTags('messages')
@Controller('api/v1/messages')
export class MessageController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(ConnectionTable) private readonly connections: ConnectionTable,
    @Inject(Plugins) private readonly plugins: Plugins,
  ) {}

  @Post()
  @Roles('designer', 'integrator')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Send a message',
    description:
      'It is sent after this answer, and retried where the service fails. With the same `Idempotency-Key` it is sent once.',
  })
  @Takes(NewMessage)
  @Answers(MessageDetail, 202)
  async send(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<MessageDetail> {
    const given = checkBody(NewMessage, sent, { prefix: 'message' });
    const { orgId, actor, idempotencyKey: key } = caller;
    this.requireSender(orgId, given.integration);
    const id: Uuid = key === undefined ? uuid7() : uuid5('messages.manual', orgId, key);
    const requestedBy = { kind: 'manual' as const, by: actor };
    const draft = { type: 'message.requested' as const, data: { requestedBy, eventId: '', ...given } };
    const now = this.clock.now();
    const event = newEvent(draft, { id, orgId, actor, now, subject: `message/${eventIdOf(id)}` });
    crashPoint('messages.before-request');
    const { position } = await appendOnce(this.store, streams.messageRequest(id), [event]);
    crashPoint('messages.after-request');
    const isShown = await hasSeen(this.progress, followers.messageViews, position);
    const row = isShown ? await this.row(orgId, eventIdOf(id)) : null;
    if (row) return this.detail(row);
    return { ...pending(given), id: eventIdOf(id), requestedBy, requestedAt: now.toISOString() };
  }

  @Get()
  @ApiOperation({ summary: 'List messages', description: 'Newest first.' })
  @ApiQuery({ name: 'status', required: false, enum: STATUSES })
  @ApiQuery({ name: 'integration', required: false, description: 'Id or name.' })
  @ApiQuery({ name: 'eventId', required: false, description: 'Event that led to it.' })
  @AnswersPage(MessageAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status?: string,
    @Query('integration') integration?: string,
    @Query('eventId') eventId?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<MessageAnswer>> {
    const query = this.database.getRepository(MessageView).createQueryBuilder('message');
    query.where('message.orgId = :orgId', { orgId });
    if (status) query.andWhere('message.status = :status', { status });
    if (eventId) query.andWhere('message.eventId = :eventId', { eventId });
    if (integration)
      query.andWhere(':integration in (message.integration, message.integrationId)', {
        integration,
      });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { requestedAt: 'time', id: 'text' }, 'DESC');
    return { data: rows.map(answerOf), nextCursor };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One message', description: 'With the whole text.' })
  @Answers(MessageDetail)
  async view(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<MessageDetail> {
    const row = await this.row(orgId, id);
    if (row) return this.detail(row);
    throw new Rejected(
      'not_found',
      'message.not_found',
      `There is no message ${id}. GET /api/v1/messages lists the existing ones.`,
    );
  }

  /** Nobody waits for the outcome: what can be known now is said now. */
  private requireSender(orgId: string, integration: string): void {
    const { connections, plugins } = this;
    const canSend = (provider: string): boolean => plugins.providers.get(provider)?.send !== undefined;
    const connection = connections.find(orgId, integration);
    if (connection && canSend(connection.provider) && connection.active) return;
    const senders = connections.list(orgId).filter(({ provider }) => canSend(provider));
    const names = senders.map(({ name }) => name);
    const detail = !connection
      ? `There is no integration "${integration}". ${suggestion(integration, names)}Use an id, or a name that one integration has.`
      : canSend(connection.provider)
        ? `The integration "${connection.name}" is disabled. Enable it.`
        : `The provider ${connection.provider} sends no messages. Integrations that do: ${names.join(', ') || 'none'}.`;
    const refusal = new Rejected('invalid', 'message.invalid', detail, {
      problems: [{ pointer: '/integration', detail }],
    });
    throw connection ? refusal : missingFrom(connections, refusal);
  }

  private row(orgId: string, id: string): Promise<MessageView | null> {
    return this.database.getRepository(MessageView).findOneBy({ id, orgId });
  }

  private async detail(row: MessageView): Promise<MessageDetail> {
    const request = await readAt(this.store, row.requestStream, row.requestRevision);
    const { text = row.text, blocks = null } = request?.is('message.requested') ? request.data : {};
    return { ...answerOf(row), text, blocks };
  }
}

const pending = ({ integration, channel, threadId, text, blocks }: NewMessage) => ({
  status: 'pending' as const,
  integration,
  integrationId: null,
  provider: null,
  channel,
  threadId: threadId ?? null,
  text,
  blocks: blocks ?? null,
  eventId: null,
  attempts: 0,
  error: null,
  nextAttemptAt: null,
  messageId: null,
  finishedAt: null,
});

const answerOf = (row: MessageView): MessageAnswer => ({
  id: row.id,
  status: row.status,
  integration: row.integration,
  integrationId: row.integrationId,
  provider: row.provider,
  channel: row.channel,
  threadId: row.threadId,
  text: row.text,
  requestedBy: row.requestedBy,
  eventId: row.eventId,
  attempts: row.attempts,
  error: row.error,
  nextAttemptAt: row.nextAttemptAt?.toISOString() ?? null,
  messageId: row.messageId,
  requestedAt: row.requestedAt.toISOString(),
  finishedAt: row.finishedAt?.toISOString() ?? null,
});
