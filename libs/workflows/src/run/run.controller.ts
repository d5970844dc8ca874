import { Controller, Get, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { missingFrom } from '#libs/event-store/src/subscriber.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { RunAnswer, RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { NewRun } from '#libs/events/src/shapes/workflow-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { type Page, pageOf, pagingOf } from '#libs/kernel/src/paging.js';

import { declaredInputs, inputsOf } from '../language/inputs.js';
import { notFound } from '../workflow/workflow.js';
import { WorkflowTable } from '../workflow/workflow.table.js';
import { BeginRun } from './commands/begin-run.adapter.js';
import { RunView } from './run.view.js';
import { filterIn, narrow, STATUSES, TRIGGERS } from './shown/run-filter.js';
import { answerOf, ShownRuns } from './shown/shown-runs.adapter.js';

@ApiTags('runs')
@Controller('api/v1')
export class RunController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(WorkflowTable) private readonly workflows: WorkflowTable,
    @Inject(BeginRun) private readonly beginRun: BeginRun,
    @Inject(ShownRuns) private readonly shown: ShownRuns,
  ) {}

  @Post('workflows/:name/runs')
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Start a run', description: 'Of a workflow with a manual trigger.' })
  @Takes(NewRun)
  @Answers(RunDetails, 201)
  async begin(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Req() request: { body: unknown },
  ): Promise<RunDetails> {
    const { inputs: given = {} } = checkBody(NewRun, request.body ?? {}, { prefix: 'run' });
    const workflow = this.workflows.find(caller.orgId, name);
    if (!workflow) throw missingFrom(this.workflows, notFound(name));
    const { definition } = workflow;
    if (!definition)
      throw new Rejected('conflict', 'workflow.broken', `"${name}" cannot run: a step that it uses is not installed.`);
    if (definition.disabled)
      throw new Rejected(
        'conflict',
        'workflow.disabled',
        `"${name}" is disabled. Remove "disabled: true" to start it.`,
      );
    const declared = declaredInputs(definition);
    if (!declared)
      throw new Rejected(
        'conflict',
        'workflow.no_manual_trigger',
        `"${name}" has no manual trigger. Add "- type: manual" to its triggers.`,
      );
    const runId = newIdFor(caller, 'run');
    const index = definition.triggers.findIndex(({ inputs }) => inputs !== undefined);
    return this.beginRun.begin(caller, {
      runId,
      orgId: caller.orgId,
      workflow,
      trigger: { kind: 'manual', index },
      inputs: inputsOf(declared, given),
      event: undefined,
      cause: undefined,
    });
  }

  @Get('runs')
  @ApiOperation({ summary: 'List runs', description: 'Newest first.' })
  @ApiQuery({ name: 'workflow', required: false, description: 'A name.' })
  @ApiQuery({ name: 'status', required: false, enum: STATUSES })
  @ApiQuery({ name: 'eventId', required: false, description: 'Runs started by this event.' })
  @ApiQuery({ name: 'correlation', required: false, description: 'Id of the first event of a story.' })
  @ApiQuery({ name: 'version', required: false })
  @ApiQuery({ name: 'trigger', required: false, enum: TRIGGERS })
  @ApiQuery({ name: 'errorCode', required: false, description: 'Such as `http.status`.' })
  @ApiQuery({ name: 'from', required: false, description: 'RFC 3339: runs started since then.' })
  @ApiQuery({ name: 'to', required: false, description: 'RFC 3339: runs started before then.' })
  @ApiQuery({ name: 'input.NAME', required: false, description: 'Runs with this value of the input NAME.' })
  @ApiQuery({ name: 'label.NAME', required: false, description: 'Runs of workflows with this label.' })
  @AnswersPage(RunAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query() asked: Readonly<Record<string, unknown>> = {},
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<RunAnswer>> {
    const paging = pagingOf(limit, cursor, ['time', 'text']);
    const query = this.database
      .getRepository(RunView)
      .createQueryBuilder('run')
      .where('run.orgId = :orgId', { orgId })
      .orderBy('run.startedAt', 'DESC')
      .addOrderBy('run.id', 'DESC')
      .limit(paging.limit + 1);
    narrow(query, filterIn(asked), (labels) => this.workflows.labelled(orgId, labels));
    if (paging.after)
      query.andWhere('(run.startedAt, run.id) < (:at::timestamptz, :id)', {
        at: paging.after[0],
        id: paging.after[1],
      });
    return pageOf(await query.getMany(), paging, ({ id, startedAt }) => [startedAt.toISOString(), id], answerOf);
  }

  @Get('runs/:id')
  @ApiOperation({ summary: 'One run with its timeline', description: 'Steps, attempts, inputs, outputs and timers.' })
  @Answers(RunDetails)
  view(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<RunDetails> {
    return this.shown.one(orgId, id);
  }
}
