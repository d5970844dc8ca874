import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import {
  ApprovalAnswer,
  ApprovalDecision,
  ApprovalStatus,
  RecordedDecision,
} from '#libs/events/src/shapes/run-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';
import { isStorable } from '#libs/kernel/src/text/text.js';

import { oneOf } from '../workflow/workflow-filter.js';
import { ApprovalView } from './approval.view.js';
import { decideApproval } from './decide-approval.js';

const STATUSES = ApprovalStatus.anyOf.map(({ const: status }) => status);

@ApiTags('runs')
@Controller('api/v1')
export class ApprovalController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(TokenTable) private readonly tokens: TokenTable,
  ) {}

  @Get('approvals')
  @ApiOperation({ summary: 'List approvals', description: 'Newest first; those that wait unless a status is named.' })
  @ApiQuery({ name: 'status', required: false, enum: STATUSES })
  @ApiQuery({ name: 'runId', required: false })
  @ApiQuery({ name: 'workflow', required: false, description: 'A name.' })
  @AnswersPage(ApprovalAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status = 'waiting',
    @Query('runId') runId?: string,
    @Query('workflow') workflow?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<ApprovalAnswer>> {
    oneOf('status', status, STATUSES);
    const paging = pagingOf(limit, cursor, ['time', 'text']);
    const query = this.database
      .getRepository(ApprovalView)
      .createQueryBuilder('approval')
      .where('approval.orgId = :orgId and approval.status = :status', { orgId, status })
      .orderBy('approval.requestedAt', 'DESC')
      .addOrderBy('approval.requestId', 'DESC')
      .limit(paging.limit + 1);
    if (![runId, workflow].every((text) => text === undefined || isStorable(text)))
      return { data: [], nextCursor: null };
    if (runId) query.andWhere('approval.runId = :runId', { runId });
    if (workflow) query.andWhere('approval.workflow = :workflow', { workflow });
    if (paging.after)
      query.andWhere('(approval.requestedAt, approval.requestId::text) < (:at::timestamptz, :id)', {
        at: paging.after[0],
        id: paging.after[1],
      });
    const rows = await query.getMany();
    return pageOf(rows, paging, ({ requestId, requestedAt }) => [requestedAt.toISOString(), requestId], answerOf);
  }

  @Post('runs/:id/approvals/:stepPath')
  @HttpCode(200)
  @Takes(ApprovalDecision)
  @Answers(RecordedDecision)
  @ApiOperation({
    summary: 'Approve or reject',
    description: 'Open to the approvers that the step names. `stepPath` is the path of the step in the timeline.',
  })
  async decide(
    @CurrentCaller() caller: Caller,
    @Param('id') runId: string,
    @Param('stepPath') path: string,
    @Req() request: { body: unknown },
  ): Promise<RecordedDecision> {
    const vote = checkBody(ApprovalDecision, request.body ?? {}, { prefix: 'approval' });
    const who = { ...caller, name: this.tokens.nameOf(caller.orgId, caller.actor) };
    const position = await decideApproval(this.store, { runId, path }, who, vote, () => this.clock.now());
    await hasSeen(this.progress, followers.approvalViews, position);
    const row = await this.database
      .getRepository(ApprovalView)
      .findOne({ where: { runId, path, orgId: caller.orgId }, order: { requestedAt: 'DESC' } });
    return { runId, path, ...vote, by: caller.actor, ...(row && { status: row.status }) };
  }
}

const answerOf = ({
  requestId: _,
  orgId: __,
  description,
  until,
  requestedAt,
  ...row
}: ApprovalView): ApprovalAnswer => ({
  ...row,
  ...(description !== null && { description }),
  ...(until && { until: until.toISOString() }),
  requestedAt: requestedAt.toISOString(),
});
