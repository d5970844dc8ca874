import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { AnswersPage } from '#libs/access/src/shapes.controller.js';
import { WorkflowDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import { type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import { notFound, workflowIdOf } from '../workflow/workflow.js';
import { WorkflowView } from '../workflow/workflow.view.js';
import { WorkflowDecisions } from './workflow-decisions.adapter.js';

const OUTCOMES = ['started', 'not_matched', 'skipped', 'errored'] as const;

/** Why a workflow started, or did not. */
@ApiTags('workflows')
@Controller('api/v1/workflows/:name/decisions')
export class TriggerDecisionController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(WorkflowDecisions) private readonly decisions: WorkflowDecisions,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'List the decisions of the triggers of a workflow',
    description:
      'Newest first: each event whose type and source a trigger names, and whether it started a run. A workflow starts once for an event, by its first trigger that fits.',
  })
  @ApiQuery({ name: 'outcome', enum: OUTCOMES, required: false })
  @ApiQuery({ name: 'from', required: false, description: 'RFC 3339: decisions since then.' })
  @ApiQuery({ name: 'to', required: false, description: 'RFC 3339: decisions before then.' })
  @AnswersPage(WorkflowDecisionAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Param('name') name: string,
    @Query('outcome') outcome?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
    @Query('from') from?: string,
    @Query('to') to?: string,
  ): Promise<Page<WorkflowDecisionAnswer>> {
    const paging = pagingOf(limit, cursor, ['time', 'text', 'number']);
    const [since, until] = [timeOf('from', from), timeOf('to', to)];
    const [at, eventId, trigger] = paging.after ?? [];
    const query = {
      orgId,
      workflowId: workflowIdOf(orgId, name),
      workflow: name,
      ...(outcome !== undefined && outcome !== '' && { outcome: outcomeOf(outcome) }),
      ...(since && { from: since }),
      ...(until && { to: until }),
      ...(paging.after && { before: { at: at!, eventId: eventId!, trigger: Math.min(Number(trigger), 99) } }),
    };
    const found = await this.decisions.ofWorkflow(query, paging.limit + 1);
    if (found.length === 0 && !(await this.database.getRepository(WorkflowView).existsBy({ orgId, name })))
      throw notFound(name);
    return pageOf(
      found,
      paging,
      (decision) => [decision.at, decision.eventId, String(decision.trigger)],
      (decision) => decision,
    );
  }
}

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
