import { Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiProperty, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuidOf } from '#libs/kernel/src/ids.js';
import { type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';

import { type Attempt, attemptsOf } from './attempt-history.js';
import { DeliveryView } from './delivery.view.js';
import { messageIdOf } from './outgoing.js';
import { RequestRedelivery } from './redelivery.js';
import { webhookNotFound } from './webhook.js';
import { WebhookView } from './webhook.view.js';

const STATUSES = ['pending', 'success', 'failed'];

/** What every list of deliveries may be narrowed to. */
interface Filters {
  readonly status?: string;
  readonly type?: string;
  readonly eventId?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

class DeliveryBase {
  @ApiProperty({ example: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty({ type: String, nullable: true })
  webhookId!: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Where an action named a bare URL.' })
  url!: string | null;
  @ApiProperty({ enum: ['subscription', 'action', 'redelivery', 'test'] })
  kind!: string;
  @ApiProperty({ description: '`webhook-id` of its calls: the same for every attempt and redelivery.' })
  messageId!: string;
  @ApiProperty()
  eventId!: string;
  @ApiProperty()
  eventType!: string;
  @ApiProperty({ enum: STATUSES })
  status!: string;
  @ApiProperty({ type: Number, nullable: true })
  responseCode!: number | null;
  @ApiProperty({ type: Number, nullable: true })
  latencyMs!: number | null;
  @ApiProperty({ type: String, nullable: true })
  failureClass!: string | null;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  nextAttemptAt!: string | null;
  @ApiProperty({ type: String, nullable: true })
  redeliveryOf!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  finishedAt!: string | null;
}

export class DeliveryAnswer extends DeliveryBase {
  @ApiProperty({ description: 'How many were made.' })
  attempts!: number;
}

export class DeliveryDetail extends DeliveryBase {
  @ApiProperty({ description: 'How many were made.' })
  attemptCount!: number;
  @ApiProperty({ type: [Object], description: 'Each with request, response, latency and failure class.' })
  attempts!: readonly Attempt[];
}

export class DeliveryPage {
  @ApiProperty({ type: [DeliveryAnswer] })
  data!: readonly DeliveryAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

/** One delivery is found under its own name and under its webhook's. */
const ONE = ['deliveries/:id', 'outbound-webhooks/deliveries/:id', 'outbound-webhooks/:webhookId/deliveries/:id'];

@ApiTags('deliveries')
@Controller('api/v1')
export class DeliveryController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  @Get('deliveries')
  @ApiOperation({ summary: 'List deliveries of all webhooks', description: 'Newest first.' })
  @ApiQuery({ name: 'webhookId', required: false })
  @ApiQuery({ name: 'eventId', required: false })
  @ApiQuery({ name: 'status', enum: STATUSES, required: false })
  @ApiQuery({ name: 'type', required: false, description: 'Of the event.' })
  @ApiQuery({ name: 'from', required: false, description: 'RFC 3339, inclusive.' })
  @ApiQuery({ name: 'to', required: false, description: 'RFC 3339, exclusive.' })
  @ApiQuery({ name: 'limit', required: false })
  @ApiQuery({ name: 'cursor', required: false })
  @ApiResponse({ status: 200, type: DeliveryPage })
  list(
    @CurrentCaller() caller: Caller,
    @Query() filters: Filters & { readonly webhookId?: string },
  ): Promise<Page<DeliveryAnswer>> {
    return this.page(caller, filters, filters.webhookId);
  }

  @Get('outbound-webhooks/:webhookId/deliveries')
  @ApiOperation({ summary: 'List deliveries of one webhook', description: 'Newest first.' })
  @ApiQuery({ name: 'eventId', required: false })
  @ApiQuery({ name: 'status', enum: STATUSES, required: false })
  @ApiQuery({ name: 'type', required: false, description: 'Of the event.' })
  @ApiQuery({ name: 'from', required: false, description: 'RFC 3339, inclusive.' })
  @ApiQuery({ name: 'to', required: false, description: 'RFC 3339, exclusive.' })
  @ApiQuery({ name: 'limit', required: false })
  @ApiQuery({ name: 'cursor', required: false })
  @ApiResponse({ status: 200, type: DeliveryPage })
  async listOfWebhook(
    @CurrentCaller() caller: Caller,
    @Param('webhookId') webhookId: string,
    @Query() filters: Filters,
  ): Promise<Page<DeliveryAnswer>> {
    if (!uuidOf('whk', webhookId)) throw webhookNotFound(webhookId);
    const page = await this.page(caller, filters, webhookId);
    if (page.data.length === 0 && !(await this.webhook(caller, webhookId)) && !(await this.hasAny(caller, webhookId)))
      throw webhookNotFound(webhookId);
    return page;
  }

  @Get(ONE)
  @ApiOperation({ summary: 'One delivery with all its attempts', description: 'Requests and responses as they were.' })
  @ApiResponse({ status: 200, type: DeliveryDetail })
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<DeliveryDetail> {
    const row = await this.find(caller, id);
    return { ...baseOf(row), attemptCount: row.attempts, attempts: await attemptsOf(this.store, row) };
  }

  @Post(ONE.map((path) => `${path}/redeliver`))
  @Roles('integrator', 'designer')
  @HttpCode(201)
  @ApiOperation({
    summary: 'Deliver again',
    description:
      'A new delivery of the same event with the same `webhook-id`, signed anew. It is retried like any other.',
  })
  @ApiResponse({ status: 201, type: DeliveryAnswer })
  async redeliver(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<DeliveryAnswer> {
    const row = await this.find(caller, id);
    await this.checkRedeliverable(caller, row);
    const newId = newIdFor(caller, 'del');
    const { position } = await this.commands.execute(new RequestRedelivery(newId, caller, id));
    await this.progress.whenProcessed('deliveries.schedule', position);
    return answerOf(await this.find(caller, newId));
  }

  private async checkRedeliverable(caller: Caller, { id, kind, webhookId }: DeliveryView): Promise<void> {
    const refuse = (code: string, message: string): Rejected => new Rejected('conflict', code, message);
    if (kind === 'test')
      throw refuse(
        'delivery.is_test',
        `${id} is a test. POST /api/v1/outbound-webhooks/${webhookId}/test sends another.`,
      );
    if (webhookId === null) return;
    const webhook = await this.webhook(caller, webhookId);
    if (!webhook) throw refuse('webhook.deleted', `The webhook of ${id} was deleted: there is nowhere to deliver to.`);
    if (webhook.status === 'disabled')
      throw refuse(
        'webhook.disabled',
        `Webhook ${webhookId} is disabled. Enable it first: PATCH { "disabled": false }.`,
      );
  }

  private async page(
    { orgId }: Caller,
    filters: Filters,
    webhookId: string | undefined,
  ): Promise<Page<DeliveryAnswer>> {
    const { status, type, eventId, from, to, limit, cursor } = plain(filters);
    const paging = pagingOf(limit, cursor, 2);
    if (status && !STATUSES.includes(status))
      throw new Rejected('invalid', 'list.bad_status', `"status" must be one of ${STATUSES.join(', ')}.`);
    const query = this.database
      .getRepository(DeliveryView)
      .createQueryBuilder('delivery')
      .where('delivery.orgId = :orgId', { orgId })
      .orderBy('delivery.position', 'DESC')
      .addOrderBy('delivery.id', 'DESC')
      .limit(paging.limit + 1);
    if (webhookId) query.andWhere('delivery.webhookId = :webhookId', { webhookId });
    if (status) query.andWhere('delivery.status = :status', { status });
    if (type) query.andWhere('delivery.eventType = :type', { type });
    if (eventId) query.andWhere('delivery.eventId = :eventId', { eventId });
    if (from) query.andWhere('delivery.createdAt >= :from', { from: timeOf('from', from) });
    if (to) query.andWhere('delivery.createdAt < :to', { to: timeOf('to', to) });
    if (paging.after) {
      const [position, id] = paging.after;
      if (!/^\d{1,19}$/.test(position!))
        throw new Rejected('invalid', 'list.bad_cursor', '"cursor" must be the nextCursor of the page before.');
      query.andWhere('(delivery.position, delivery.id) < (:position, :id)', { position, id });
    }
    return pageOf(await query.getMany(), paging, ({ position, id }) => [position, id], answerOf);
  }

  private async find({ orgId }: Caller, id: string): Promise<DeliveryView> {
    const row = uuidOf('del', id) && (await this.database.getRepository(DeliveryView).findOneBy({ id, orgId }));
    if (row) return row;
    throw new Rejected(
      'not_found',
      'delivery.not_found',
      `There is no delivery ${id}. GET /api/v1/deliveries lists them.`,
    );
  }

  private webhook({ orgId }: Caller, id: string): Promise<WebhookView | null> {
    return this.database.getRepository(WebhookView).findOneBy({ id, orgId });
  }

  /** Whether a webhook that is deleted by now had deliveries. */
  private hasAny({ orgId }: Caller, webhookId: string): Promise<boolean> {
    return this.database.getRepository(DeliveryView).existsBy({ orgId, webhookId });
  }
}

/** A parameter that is given twice, or holds what no column can, is a mistake and not a fault of ours. */
function plain(filters: Filters): Filters {
  for (const [name, value] of Object.entries(filters) as [string, unknown][])
    if (value !== undefined && (typeof value !== 'string' || value.includes('\0')))
      throw new Rejected('invalid', 'list.bad_filter', `"${name}" must be given once, as plain text.`);
  return filters;
}

function timeOf(name: string, text: string): Date {
  const time = new Date(text);
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new Rejected('invalid', 'list.bad_time', `"${name}" must be a time such as 2026-11-20T13:00:00Z.`);
}

const baseOf = (row: DeliveryView): DeliveryBase => ({
  id: row.id,
  webhookId: row.webhookId,
  url: row.url,
  kind: row.kind,
  messageId: messageIdOf(row.rootId),
  eventId: row.eventId,
  eventType: row.eventType,
  status: row.status,
  responseCode: row.responseCode,
  latencyMs: row.latencyMs,
  failureClass: row.failureClass,
  nextAttemptAt: row.nextAttemptAt?.toISOString() ?? null,
  redeliveryOf: row.redeliveryOf,
  createdAt: row.createdAt.toISOString(),
  finishedAt: row.finishedAt?.toISOString() ?? null,
});

const answerOf = (row: DeliveryView): DeliveryAnswer => ({ ...baseOf(row), attempts: row.attempts });
