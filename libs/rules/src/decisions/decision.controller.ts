import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import { cursorOf, type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';

import { decisionsOfRule, isRule, decisionsOnEvent, type PlacedDecision } from './decision-lists.adapter.js';
import type { TimePlace } from './verdict-rows.adapter.js';

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
  @ApiPropertyOptional({ type: Object, description: 'The first condition that failed, and the value it saw.' })
  failed?: object;
  @ApiPropertyOptional()
  error?: string;
  @ApiProperty({
    type: [Object],
    description:
      'Each with the id of the event that requests it. `refused` is the code of a refusal, `detail` the description.',
  })
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
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(EventReader) private readonly events: EventReader,
  ) {}

  @Get('events/:id/decisions')
  @ApiOperation({
    summary: 'List the decisions of rules about an event',
    description: 'Rules whose source or type did not match have no decision. In the order of the rules, by their ids.',
  })
  @ApiResponse({ status: 200, type: DecisionPage })
  async ofEvent(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') eventId: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<DecisionAnswer>> {
    const paging = pagingOf(limit, cursor, ['text']);
    const place = { orgId, eventId, after: paging.after?.[0] ?? '' };
    const found = await decisionsOnEvent(this.database, place, paging.limit + 1, this.versions);
    if (found.length === 0) await this.events.get(orgId, eventId);
    return pageOf(
      found,
      paging,
      ({ ruleId }) => [ruleId],
      (shown) => shown,
    );
  }

  @Get('rules/:id/decisions')
  @ApiOperation({
    summary: 'List the decisions of a rule',
    description:
      'Newest first. A page may have fewer decisions than `limit`, or none: continue while there is a nextCursor.',
  })
  @ApiQuery({ name: 'outcome', enum: OUTCOMES, required: false })
  @ApiQuery({ name: 'from', required: false, description: 'RFC 3339: decisions since then.' })
  @ApiQuery({ name: 'to', required: false, description: 'RFC 3339: decisions before then.' })
  @ApiResponse({ status: 200, type: DecisionPage })
  async ofRule(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') ruleId: string,
    @Query('outcome') outcome?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
    @Query('from') from?: string,
    @Query('to') to?: string,
  ): Promise<Page<DecisionAnswer>> {
    const paging = pagingOf(limit, cursor, ['time', 'number', 'number']);
    const [since, until] = [timeOf('from', from), timeOf('to', to)];
    const query = {
      orgId,
      ruleId,
      ...(outcome !== undefined && outcome !== '' && { outcome: outcomeOf(outcome) }),
      ...(since && { from: since }),
      ...(until && { to: until }),
      ...(paging.after && { before: placeOf(paging.after) }),
    };
    const { found, goOn } = await decisionsOfRule(this.database, query, paging.limit + 1, this.versions);
    if (found.length === 0 && !(await isRule(this.database, orgId, ruleId)))
      throw new Rejected(
        'not_found',
        'rule.not_found',
        `There is no rule ${ruleId}. GET /api/v1/rules lists the existing ones.`,
      );
    const page = pageOf(found, paging, keyOf, ({ shown }) => shown);
    return page.nextCursor === null && goOn ? { ...page, nextCursor: cursorOf(partsOf(goOn)) } : page;
  }

  private readonly versions = (position: bigint): Promise<void> =>
    this.progress.whenProcessed(followers.ruleViews, position);
}

const partsOf = ({ at, position, part }: TimePlace): readonly string[] => [at, position, String(part)];
const keyOf = ({ place }: PlacedDecision): readonly string[] => partsOf(place);

const placeOf = ([at = '', position = '', part = '']: readonly string[]): TimePlace => ({
  at,
  position,
  part: Math.min(Number(part), 2 ** 31 - 1),
});

function outcomeOf(text: string): string {
  if (OUTCOMES.some((outcome) => outcome === text)) return text;
  throw new Rejected('invalid', 'decision.bad_outcome', `"outcome" must be one of ${OUTCOMES.join(', ')}.`);
}

function timeOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined || text === '') return undefined;
  const time = parseTime(text);
  if (time) return time;
  throw new Rejected('invalid', 'decision.bad_time', `"${name}" must be a time such as 2026-11-20T13:14:15Z.`);
}
