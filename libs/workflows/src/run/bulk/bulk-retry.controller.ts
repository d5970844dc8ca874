import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { causedBy } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { BulkRetryAnswer, BulkRetryRequest, BulkRetryStart } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5, uuidOf } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import { BulkRetryView } from './bulk-retry.view.js';
import { FailedRuns } from './retry-runs.worker.js';

const DEFAULT_RATE = 10;

@ApiTags('runs')
@Controller('api/v1')
export class BulkRetryController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(FailedRuns) private readonly failed: FailedRuns,
  ) {}

  @Post('runs/retry')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Retry many runs',
    description:
      'Counts the failed runs that match. Send the request again with this number as `confirm` to retry them, `rate` a second.',
  })
  @Takes(BulkRetryRequest)
  @Answers(BulkRetryStart)
  async request(@CurrentCaller() caller: Caller, @Req() request: { body: unknown }): Promise<BulkRetryStart> {
    const body = checkBody(BulkRetryRequest, request.body ?? {}, { prefix: 'run' });
    const { filter = {}, confirm, rate = DEFAULT_RATE } = body;
    const { orgId, actor } = caller;
    const now = this.clock.now();
    const retryId = newIdFor(caller, 'ret');
    const stream = streams.bulkRetry(retryId);
    // The same Idempotency-Key again: the runs of before are failed no longer.
    const repeated = caller.idempotencyKey === undefined ? [] : await readWhole(this.store, stream);
    const [before] = repeated;
    if (before?.is('run.bulk_retry_requested')) return { count: before.data.count, started: true, id: retryId };
    const count = await this.failed.count(orgId, filter, now);
    if (confirm === undefined) return { count, started: false };
    if (confirm !== count)
      throw new Rejected(
        'conflict',
        'run.other_count',
        `${count} failed runs match now, not ${confirm}. Send "confirm": ${count} to retry them.`,
      );
    const data = { retryId, filter, count, rate };
    const event = newEvent(
      { type: 'run.bulk_retry_requested', data },
      { id: uuid5('bulk-retry-requested', retryId), orgId, actor, now, subject: `retry/${retryId}` },
    );
    const { position } = await appendOnce(this.store, stream, [event]);
    await hasSeen(this.progress, followers.bulkRetries, position);
    return { count, started: true, id: retryId };
  }

  @Get('run-retries')
  @ApiOperation({ summary: 'List requests to retry many runs', description: 'Newest first.' })
  @AnswersPage(BulkRetryAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<BulkRetryAnswer>> {
    const query = this.database
      .getRepository(BulkRetryView)
      .createQueryBuilder('retry')
      .where('retry.orgId = :orgId', { orgId });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { requestedAt: 'time', id: 'text' }, 'DESC');
    return { data: rows.map(answerOf), nextCursor };
  }

  @Get('run-retries/:id')
  @ApiOperation({ summary: 'One request to retry many runs, and how far it is' })
  @Answers(BulkRetryAnswer)
  async view(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<BulkRetryAnswer> {
    const row = uuidOf('ret', id) && (await this.database.getRepository(BulkRetryView).findOneBy({ id }));
    if (!row || row.orgId !== orgId) throw notFound(id);
    return answerOf(row);
  }

  @Post('run-retries/:id/cancel')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({ summary: 'Stop retrying', description: 'Runs that were retried go on.' })
  @Answers(BulkRetryAnswer)
  async cancel(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<BulkRetryAnswer> {
    const { orgId, actor } = caller;
    if (uuidOf('ret', id) === undefined) throw notFound(id);
    const stream = streams.bulkRetry(id);
    for (;;) {
      const recorded = await readWhole(this.store, stream);
      const [first] = recorded;
      const last = recorded.at(-1);
      if (!first || !last || first.metadata.orgId !== orgId) throw notFound(id);
      if (recorded.some(({ type }) => type === 'run.bulk_retry_ended')) return this.view(caller, id);
      const event = newEvent(
        { type: 'run.bulk_retry_ended', data: { retryId: id, status: 'cancelled' } },
        {
          id: uuid5('bulk-retry-cancelled', id),
          orgId,
          actor,
          now: this.clock.now(),
          subject: first.metadata.subject,
          cause: causedBy(first),
        },
      );
      try {
        const { position } = await this.store.append(stream, [event], last.revision);
        await hasSeen(this.progress, followers.bulkRetries, position);
        return await this.view(caller, id);
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
      }
    }
  }
}

const answerOf = (row: BulkRetryView): BulkRetryAnswer => {
  const { id, filter, count, rate, status, retried, refused, requestedBy, requestedAt, endedAt } = row;
  return {
    ...{ id, filter, count, rate, status, retried, refused, requestedBy },
    requestedAt: requestedAt.toISOString(),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
  };
};

const notFound = (id: string): Rejected =>
  new Rejected('not_found', 'run_retry.not_found', `There is no request ${id}. GET /api/v1/run-retries lists them.`);
