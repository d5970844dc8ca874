import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiProperty, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { IsTime } from '#libs/access/src/time.body.js';
import { Egress } from '#libs/egress/src/egress.js';
import { carryOut, hasSeen } from '#libs/event-store/src/carry-out.js';
import type { Committed, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import {
  CreatedWebhook,
  NewWebhook,
  SavedWebhook,
  TestDelivery,
  WebhookAnswer,
  WebhookChanges,
  type WebhookSettings,
  webhookSettings,
} from '#libs/events/src/shapes/webhook-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { uuidOf } from '#libs/kernel/src/ids.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { rateOf } from './rate-limit.js';
import { newSecret } from './signing.js';
import { outcomeOf, SKIPPED, TEST_TIMEOUT_MS, testDeliveryId, withUnknownSecret } from './test-delivery.js';
import { warningsOf, webhookCheck } from './webhook-check.js';
import {
  DeleteWebhook,
  DisableWebhook,
  EnableWebhook,
  RecoverWebhook,
  RegisterWebhook,
  RotateWebhookSecret,
  type SettingsChange,
  TestWebhook,
  UpdateWebhook,
  type Webhook,
  webhookNotFound,
} from './webhook.js';
import { answerOf, rowOf, WebhookHealthView, WebhookView } from './webhook.view.js';

const DEFAULT_GRACE_SECONDS = 86_400;
/** Longer than a test may take: an answer without an outcome means that no worker is running. */
const OUTCOME_WAIT_MS = TEST_TIMEOUT_MS + 5_000;

export class Recovery {
  @ApiProperty({ format: 'date-time', description: 'Everything that failed since then is redelivered.' })
  @IsTime()
  since!: string;
}

@ApiTags('outbound webhooks')
@Controller('api/v1/outbound-webhooks')
export class WebhookController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) readonly progress: Progress,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(Egress) private readonly egress: Egress,
    @Inject(VocabularyTable) private readonly vocabulary: VocabularyTable,
  ) {}

  @Post()
  @Roles('integrator', 'designer')
  @ApiOperation({
    summary: 'Create an outbound webhook',
    description:
      'Sends a test delivery at once, unless `disabled`; the answer has its outcome. The secret is in this answer only, so a receiver that checks signatures refuses the test if the secret was generated.',
  })
  @Takes(NewWebhook)
  @Answers(CreatedWebhook, 201)
  async create(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<CreatedWebhook> {
    const body = checkBody(NewWebhook, sent, { prefix: 'webhook', check: this.check() });
    const id = newIdFor(caller, 'whk');
    const reference = `${id}/secret/1`;
    const secret = await this.secrets.put(caller.orgId, reference, body.secret ?? newSecret());
    const headers = body.headers ? await this.keepHeaders(caller, `${id}/headers/1`, body.headers) : undefined;
    const settings: WebhookSettings = {
      ...withDefaults(webhookSettings, body),
      ...(headers && { headers }),
      ...(body.rateLimit && { rateLimit: rateOf(body.rateLimit) }),
    };
    const disabled = body.disabled === true;
    const committed = await this.run(new RegisterWebhook(id, caller, settings, reference, disabled));
    const outcome = disabled ? SKIPPED : await this.testOutcome(id, committed);
    const testDelivery = body.secret === undefined ? withUnknownSecret(outcome) : outcome;
    return {
      ...(await this.saved(committed)),
      warnings: warningsOf(settings, body.secret, this.ownTypes(caller)),
      secret,
      testDelivery,
    };
  }

  @Get()
  @ApiOperation({ summary: 'List outbound webhooks', description: 'With how they have been doing.' })
  @ApiQuery({ name: 'status', enum: ['active', 'disabled'], required: false })
  @AnswersPage(WebhookAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<WebhookAnswer>> {
    const query = this.database.getRepository(WebhookView).createQueryBuilder('webhook');
    query.where('webhook.orgId = :orgId', { orgId });
    if (status === 'active' || status === 'disabled') query.andWhere('webhook.status = :status', { status });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { id: 'text' });
    const health = await this.healthOf(rows.map(({ id }) => id));
    return { data: rows.map((row) => answerOf(row, health.get(row.id))), nextCursor };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One outbound webhook' })
  @Answers(WebhookAnswer)
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<WebhookAnswer> {
    const row = await this.find(caller, id);
    return answerOf(row, (await this.healthOf([id])).get(id));
  }

  @Patch(':id')
  @Roles('integrator', 'designer')
  @ApiOperation({
    summary: 'Change an outbound webhook',
    description:
      'Keys that are left out do not change; null removes an optional part. `rotateSecret`, or a new `secret`, changes the secret; ' +
      'for `graceSeconds` deliveries are signed with both.',
  })
  @Takes(WebhookChanges)
  @Answers(SavedWebhook)
  async change(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() sent: object): Promise<SavedWebhook> {
    const row = await this.find(caller, id);
    const check = this.check(row.settings.signatureHeader);
    const body = checkBody(WebhookChanges, sent, { prefix: 'webhook', check });
    const change = await this.settingsChange(caller, id, body);
    let committed: Committed<Webhook> | undefined;
    if (Object.keys(change).length > 0) committed = await this.run(new UpdateWebhook(id, caller, change));
    const rotated = await this.rotate(caller, id, body);
    const secret = rotated?.secret;
    committed = rotated?.committed ?? committed;
    if (body.disabled === true)
      committed = await this.run(new DisableWebhook(id, caller, 'manual', `Disabled by ${caller.actor}.`));
    else if (body.disabled === false) committed = await this.run(new EnableWebhook(id, caller));
    const answer = committed ? await this.saved(committed) : await this.view(caller, id);
    const { events, filter } = answer;
    const allowRecursion = answer.allowRecursion === true;
    return {
      ...answer,
      warnings: warningsOf(
        { events, allowRecursion, ...(typeof filter === 'string' && { filter }) },
        body.secret,
        this.ownTypes(caller),
      ),
      ...(secret !== undefined && { secret }),
    };
  }

  @Delete(':id')
  @Roles('integrator', 'designer')
  @HttpCode(204)
  @ApiOperation({ summary: 'Delete an outbound webhook', description: 'Its deliveries stay.' })
  @ApiResponse({ status: 204 })
  async remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.find(caller, id);
    await this.run(new DeleteWebhook(id, caller));
  }

  @Post(':id/test')
  @Roles('integrator', 'designer')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send a test delivery', description: 'Waits for the outcome. A test is not retried.' })
  @Answers(TestDelivery)
  async test(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<TestDelivery> {
    await this.find(caller, id);
    return this.testOutcome(id, await this.commands.execute(new TestWebhook(id, caller)));
  }

  @Post(':id/recover')
  @Roles('integrator', 'designer')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Redeliver everything that failed since a time',
    description:
      'Each as a new delivery of the same event. At most 5000 at once, the oldest first. `redelivered` is absent until a worker has processed the request.',
  })
  @ApiResponse({ status: 202, schema: { properties: { redelivered: { type: 'integer' } } } })
  async recover(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: Recovery,
  ): Promise<{ redelivered?: number }> {
    await this.find(caller, id);
    const { position } = await this.commands.execute(new RecoverWebhook(id, caller, parseTime(body.since)!));
    if (!(await hasSeen(this.progress, followers.scheduleDeliveries, position))) return {};
    const [row] = await this.database.query<{ redelivered: number }[]>(
      'select count(*)::int as redelivered from views.deliveries where webhook_id = $1 and position = $2',
      [id, String(position)],
    );
    return row!;
  }

  private ownTypes({ orgId }: Caller) {
    return this.vocabulary.of(orgId).eventTypes;
  }

  private check(signatureHeader?: string) {
    return webhookCheck((url) => this.egress.refusal(url), signatureHeader);
  }

  private async find({ orgId }: Caller, id: string): Promise<WebhookView> {
    const row = uuidOf('whk', id) && (await this.database.getRepository(WebhookView).findOneBy({ id, orgId }));
    if (!row) throw webhookNotFound(id);
    return row;
  }

  /** What the next request reads, or the next event meets, knows of the change. */
  private run(command: ThingCommand<Webhook>): Promise<Committed<Webhook>> {
    return carryOut(this, command, followers.webhookViews, followers.webhooks);
  }

  private async saved({ id, state, createdAt, updatedAt }: Committed<Webhook>): Promise<WebhookAnswer> {
    const row = rowOf(id, state, createdAt, updatedAt);
    if (!row) throw webhookNotFound(id);
    return answerOf(row, (await this.healthOf([id])).get(id));
  }

  private async settingsChange(caller: Caller, id: string, body: WebhookChanges): Promise<SettingsChange> {
    const { secret: _, rotateSecret: __, graceSeconds: ___, disabled: ____, rateLimit, headers, ...plain } = body;
    const rest = {
      ...plain,
      ...(rateLimit !== undefined && { rateLimit: rateLimit === null ? null : rateOf(rateLimit) }),
    };
    if (!headers) return { ...rest, ...(headers === null && { headers }) };
    return { ...rest, headers: await this.keepHeaders(caller, `${id}/headers/${newIdFor(caller, 'sec')}`, headers) };
  }

  private async keepHeaders({ orgId }: Caller, reference: string, headers: Record<string, unknown>) {
    await this.secrets.put(orgId, reference, stringifyJson(headers));
    return { names: Object.keys(headers), values: reference };
  }

  private async rotate(caller: Caller, id: string, body: WebhookChanges) {
    if (body.rotateSecret !== true && typeof body.secret !== 'string') return undefined;
    const reference = `${id}/secret/${newIdFor(caller, 'sec')}`;
    const secret = await this.secrets.put(caller.orgId, reference, body.secret ?? newSecret());
    const grace = body.graceSeconds ?? DEFAULT_GRACE_SECONDS;
    return { secret, committed: await this.run(new RotateWebhookSecret(id, caller, reference, grace)) };
  }

  private async testOutcome(id: string, { revision, position }: Committed<Webhook>): Promise<TestDelivery> {
    const event = await readAt(this.store, streams.webhook(id), revision);
    const deliveryId = testDeliveryId(id, event!.id);
    const outcome = await outcomeOf(this.store, deliveryId, position, OUTCOME_WAIT_MS);
    const nothing = { deliveryId, responseCode: null, latencyMs: null, failureClass: null, detail: null };
    if (!outcome)
      return {
        ...nothing,
        status: 'pending',
        detail: 'There is no outcome yet. Check that a process with the role worker runs.',
      };
    await hasSeen(this.progress, followers.scheduleDeliveries, outcome.position);
    const { latencyMs, status } = outcome.data;
    const answered = { ...nothing, latencyMs, responseCode: status ?? null };
    if (!outcome.is('webhook.failed')) return { ...answered, status: 'success' };
    const { failureClass, detail } = outcome.data;
    return { ...answered, status: 'failed', failureClass, detail };
  }

  private async healthOf(ids: readonly string[]): Promise<ReadonlyMap<string, WebhookHealthView>> {
    if (ids.length === 0) return new Map();
    const rows = await this.database
      .getRepository(WebhookHealthView)
      .createQueryBuilder('health')
      .where('health.webhookId in (:...ids)', { ids })
      .getMany();
    return new Map(rows.map((row) => [row.webhookId, row]));
  }
}
