import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import type { Caller } from '#libs/access/src/caller.js';
import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import { type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';

import { DecisionView } from './decision.view.js';

const OUTCOMES = ['matched', 'not_matched', 'throttled', 'errored'] as const;

export class DecisionAnswer {
  @ApiProperty({ example: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  eventId!: string;
  @ApiProperty({ example: 'git.push' })
  eventType!: string;
  @ApiProperty({ example: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  ruleId!: string;
  @ApiProperty()
  ruleName!: string;
  @ApiProperty()
  ruleVersion!: number;
  @ApiProperty({ enum: OUTCOMES })
  outcome!: string;
  @ApiPropertyOptional({ type: Object, description: 'The first condition that decided against it, and what it saw.' })
  failed?: object;
  @ApiPropertyOptional()
  error?: string;
  @ApiProperty({ type: [Object], description: 'Each with the id of the event that asks for it.' })
  actions!: readonly object[];
  @ApiProperty({ format: 'date-time' })
  at!: string;
}

export class DecisionPage {
  @ApiProperty({ type: [DecisionAnswer] })
  data!: DecisionAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

/** Why something ran, or nothing did. */
@ApiTags('rules')
@Controller('api/v1')
export class DecisionController {
  constructor(@Inject(DataSource) private readonly database: DataSource) {}

  @Get('events/:id/decisions')
  @ApiOperation({
    summary: 'What every rule decided about an event',
    description: 'Rules whose source or type did not match have no decision.',
  })
  @ApiResponse({ status: 200, type: DecisionPage })
  async ofEvent(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') eventId: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<DecisionAnswer>> {
    const paging = pagingOf(limit, cursor, 2);
    const query = this.database
      .getRepository(DecisionView)
      .createQueryBuilder('decision')
      .where('decision.eventId = :eventId and decision.orgId = :orgId', { eventId, orgId })
      .orderBy('decision.position')
      .addOrderBy('decision.ordinal')
      .limit(paging.limit + 1);
    if (paging.after)
      query.andWhere('(decision.position, decision.ordinal) > (:position, :ordinal)', placeOf(paging.after));
    return pageOf(await query.getMany(), paging, keyOf, answerOf);
  }

  @Get('rules/:id/decisions')
  @ApiOperation({ summary: 'What a rule decided', description: 'Newest first.' })
  @ApiQuery({ name: 'outcome', enum: OUTCOMES, required: false })
  @ApiResponse({ status: 200, type: DecisionPage })
  async ofRule(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') ruleId: string,
    @Query('outcome') outcome?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<DecisionAnswer>> {
    const paging = pagingOf(limit, cursor, 2);
    const query = this.database
      .getRepository(DecisionView)
      .createQueryBuilder('decision')
      .where('decision.ruleId = :ruleId and decision.orgId = :orgId', { ruleId, orgId })
      .orderBy('decision.position', 'DESC')
      .addOrderBy('decision.ordinal', 'DESC')
      .limit(paging.limit + 1);
    if (outcome !== undefined && outcome !== '') query.andWhere('decision.outcome = :outcome', { outcome });
    if (paging.after)
      query.andWhere('(decision.position, decision.ordinal) < (:position, :ordinal)', placeOf(paging.after));
    return pageOf(await query.getMany(), paging, keyOf, answerOf);
  }
}

const keyOf = ({ position, ordinal }: DecisionView): readonly string[] => [position, String(ordinal)];

/** What is no number in a cursor that somebody made up finds nothing. */
const placeOf = ([position, ordinal]: readonly string[]) => ({
  position: /^\d{1,18}$/.test(position ?? '') ? position : '0',
  ordinal: /^\d{1,9}$/.test(ordinal ?? '') ? Number(ordinal) : 0,
});

const answerOf = (row: DecisionView): DecisionAnswer => ({
  eventId: row.eventId,
  eventType: row.eventType,
  ruleId: row.ruleId,
  ruleName: row.ruleName,
  ruleVersion: row.ruleVersion,
  outcome: row.outcome,
  ...(row.failed !== null && { failed: row.failed as object }),
  ...(row.error !== null && { error: row.error }),
  actions: row.actions,
  at: row.at.toISOString(),
});
