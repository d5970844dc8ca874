import { Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuidOf } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import { webhookNotFound } from '../webhook/webhook.js';
import { WebhookTable } from '../webhook/webhook.table.js';
import { WebhookView } from '../webhook/webhook.view.js';
import { attemptsOf } from './attempt-history.js';
import {
  answerOf,
  baseOf,
  DeliveryAnswer,
  DeliveryDetail,
  DeliveryPage,
  type Filters,
  plain,
  redeliveryOf,
  STATUSES,
  timeOf,
} from './delivery.body.js';
import { DeliveryView } from './delivery.view.js';
import { expectedTimes } from './expected-times.adapter.js';
import { RequestRedelivery } from './redelivery.js';

const AGAIN =
  'Creates a new delivery of the same event with the same `webhook-id`, signed again. It is retried like any other.';

@ApiTags('deliveries')
@Controller('api/v1')
export class DeliveryController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) readonly progress: Progress,
    @Inject(WebhookTable) private readonly webhooks: WebhookTable,
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

  @Get('deliveries/:id')
  @ApiOperation({
    summary: 'One delivery with all its attempts',
    description: 'With requests and responses as they were sent and received.',
  })
  @ApiResponse({ status: 200, type: DeliveryDetail })
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<DeliveryDetail> {
    return this.detailOf(await this.find(caller, id));
  }

  @Get('outbound-webhooks/deliveries/:id')
  @ApiOperation({ summary: 'One delivery with all its attempts', description: 'The same as /api/v1/deliveries/{id}.' })
  @ApiResponse({ status: 200, type: DeliveryDetail })
  async viewAmongWebhooks(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<DeliveryDetail> {
    return this.detailOf(await this.find(caller, id));
  }

  @Get('outbound-webhooks/:webhookId/deliveries/:id')
  @ApiOperation({ summary: 'One delivery of one webhook with all its attempts' })
  @ApiResponse({ status: 200, type: DeliveryDetail })
  async viewOfWebhook(
    @CurrentCaller() caller: Caller,
    @Param('webhookId') webhookId: string,
    @Param('id') id: string,
  ): Promise<DeliveryDetail> {
    return this.detailOf(await this.find(caller, id, webhookId));
  }

  @Post('deliveries/:id/redeliver')
  @Roles('integrator', 'designer')
  @HttpCode(201)
  @ApiOperation({ summary: 'Deliver again', description: AGAIN })
  @ApiResponse({ status: 201, type: DeliveryAnswer })
  async redeliver(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<DeliveryAnswer> {
    return this.again(caller, await this.find(caller, id));
  }

  @Post('outbound-webhooks/deliveries/:id/redeliver')
  @Roles('integrator', 'designer')
  @HttpCode(201)
  @ApiOperation({ summary: 'Deliver again', description: 'The same as POST /api/v1/deliveries/{id}/redeliver.' })
  @ApiResponse({ status: 201, type: DeliveryAnswer })
  async redeliverAmongWebhooks(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<DeliveryAnswer> {
    return this.again(caller, await this.find(caller, id));
  }

  @Post('outbound-webhooks/:webhookId/deliveries/:id/redeliver')
  @Roles('integrator', 'designer')
  @HttpCode(201)
  @ApiOperation({ summary: 'Deliver again', description: AGAIN })
  @ApiResponse({ status: 201, type: DeliveryAnswer })
  async redeliverOfWebhook(
    @CurrentCaller() caller: Caller,
    @Param('webhookId') webhookId: string,
    @Param('id') id: string,
  ): Promise<DeliveryAnswer> {
    return this.again(caller, await this.find(caller, id, webhookId));
  }

  private async detailOf(row: DeliveryView): Promise<DeliveryDetail> {
    const [expected, attempts] = await Promise.all([this.expected([row]), attemptsOf(this.store, row)]);
    return { ...baseOf(row, expected.get(row.id)), attemptCount: row.attempts, attempts };
  }

  private async again(caller: Caller, row: DeliveryView): Promise<DeliveryAnswer> {
    await this.checkRedeliverable(caller, row);
    const id = newIdFor(caller, 'del');
    const { createdAt } = await carryOut(this, new RequestRedelivery(id, caller, row.id), followers.scheduleDeliveries);
    const made = await this.database.getRepository(DeliveryView).findOneBy({ id, orgId: caller.orgId });
    const answered = made ?? redeliveryOf(row, id, createdAt);
    return answerOf(answered, (await this.expected([answered])).get(id));
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
    if (!webhook) throw refuse('webhook.deleted', `The webhook of ${id} was deleted, so it cannot be redelivered.`);
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
    if (status && !STATUSES.includes(status))
      throw new Rejected('invalid', 'list.bad_status', `"status" must be one of ${STATUSES.join(', ')}.`);
    const query = this.database.getRepository(DeliveryView).createQueryBuilder('delivery');
    query.where('delivery.orgId = :orgId', { orgId });
    if (webhookId) query.andWhere('delivery.webhookId = :webhookId', { webhookId });
    if (status) query.andWhere('delivery.status = :status', { status });
    if (type) query.andWhere('delivery.eventType = :type', { type });
    if (eventId) query.andWhere('delivery.eventId = :eventId', { eventId });
    if (from) query.andWhere('delivery.createdAt >= :from', { from: timeOf('from', from) });
    if (to) query.andWhere('delivery.createdAt < :to', { to: timeOf('to', to) });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { position: 'number', id: 'text' }, 'DESC');
    const expected = await this.expected(rows);
    return { data: rows.map((row) => answerOf(row, expected.get(row.id))), nextCursor };
  }

  private expected(rows: readonly DeliveryView[]): Promise<ReadonlyMap<string, Date>> {
    return expectedTimes(this.database, this.webhooks, rows);
  }

  private async find({ orgId }: Caller, id: string, webhookId?: string): Promise<DeliveryView> {
    const row = uuidOf('del', id) && (await this.database.getRepository(DeliveryView).findOneBy({ id, orgId }));
    if (row && (webhookId === undefined || row.webhookId === webhookId)) return row;
    throw new Rejected(
      'not_found',
      'delivery.not_found',
      `There is no delivery ${id}. GET /api/v1/deliveries lists the existing ones.`,
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
