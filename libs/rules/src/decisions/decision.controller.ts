import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { AnswersPage } from '#libs/access/src/shapes.controller.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventDecisionAnswer, RuleDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import { cursorOf, type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import { isRule, type PlacedDecision } from './decision-lists.adapter.js';
import { answerOf, RuleDecisions } from './rule-decisions.adapter.js';
import type { TimePlace } from './verdict-rows.adapter.js';

const OUTCOMES = ['matched', 'not_matched', 'throttled', 'errored'] as const;

export type DecisionAnswer = RuleDecisionAnswer;

/** Why something ran, or nothing did. */
@ApiTags('rules')
@Controller('api/v1')
export class DecisionController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(DecisionSources) private readonly sources: DecisionSources,
    @Inject(RuleDecisions) private readonly decisions: RuleDecisions,
  ) {}

  @Get('events/:id/decisions')
  @ApiOperation({
    summary: 'List the decisions of rules and workflows about an event',
    description:
      'Rules and triggers whose source or type does not fit have no decision. `kind` tells rules and workflows apart. Ordered by the ids of rules, then of workflows.',
  })
  @AnswersPage(EventDecisionAnswer)
  async ofEvent(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') eventId: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<EventDecisionAnswer>> {
    const paging = pagingOf(limit, cursor, ['text']);
    const place = { orgId, eventId, after: paging.after?.[0] ?? '' };
    const found = await this.sources.decisionsOn(place, paging.limit + 1);
    if (found.length === 0) await this.events.get(orgId, eventId);
    return pageOf(
      found,
      paging,
      ({ key }) => [key],
      ({ shown }) => shown,
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
  @AnswersPage(RuleDecisionAnswer)
  async ofRule(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') ruleId: string,
    @Query('outcome') outcome?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
    @Query('from') from?: string,
    @Query('to') to?: string,
  ): Promise<Page<RuleDecisionAnswer>> {
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
    const { found, goOn } = await this.decisions.ofRule(query, paging.limit + 1);
    if (found.length === 0 && !(await isRule(this.database, orgId, ruleId)))
      throw new Rejected(
        'not_found',
        'rule.not_found',
        `There is no rule ${ruleId}. GET /api/v1/rules lists the existing ones.`,
      );
    const page = pageOf(found, paging, keyOf, ({ shown }) => answerOf(shown));
    const data = await this.decisions.withWaiting(orgId, page.data);
    return { data, nextCursor: page.nextCursor === null && goOn ? cursorOf(partsOf(goOn)) : page.nextCursor };
  }
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
