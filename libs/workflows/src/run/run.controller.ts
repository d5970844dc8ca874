import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { appendOnce, asRecorded } from '#libs/event-store/src/append-once.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { type ChildRun, RunAnswer, RunDetails, RunStatus, WorkflowTrigger } from '#libs/events/src/shapes/run-shape.js';
import { NewRun, RunRestart } from '#libs/events/src/shapes/workflow-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { uuidOf } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';

import { declaredInputs, inputsOf } from '../language/inputs.js';
import { Definitions } from '../workflow/definitions.js';
import { notFound } from '../workflow/workflow.js';
import { WorkflowTable } from '../workflow/workflow.table.js';
import { cancelRun, runNotFound } from './cancel-run.js';
import { firstAppend, type NewRun as RunToBegin } from './first-append.js';
import { restartOf } from './restart-run.js';
import { logFailures } from './log-failures.js';
import { rowOf } from './run.projection.js';
import { RunView } from './run.view.js';
import { timelineOf } from './timeline.js';

const STATUSES = RunStatus.anyOf.map(({ const: status }) => status);

const TRIGGERS = WorkflowTrigger.anyOf.map(({ const: kind }) => kind);

/** More of the query of the list. */
interface RunFilter {
  readonly version?: string;
  readonly trigger?: string;
  readonly errorCode?: string;
  readonly from?: string;
  readonly to?: string;
}

@ApiTags('runs')
@Controller('api/v1')
export class RunController {
  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(WorkflowTable) private readonly workflows: WorkflowTable,
    @Inject(Definitions) private readonly definitions: Definitions,
    @Inject(LOG) private readonly log: Log,
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
    return this.start(caller, {
      runId,
      orgId: caller.orgId,
      workflow,
      trigger: { kind: 'manual', index },
      inputs: inputsOf(declared, given),
      event: undefined,
      cause: undefined,
      retrySchedule: this.settings.retrySchedule,
    });
  }

  @Post('runs/:id/restart')
  @Roles('designer')
  @ApiOperation({
    summary: 'Do a run again',
    description:
      'Another run with the event and the inputs of one that has ended, from the first step. `restartOf` names that one.',
  })
  @Takes(RunRestart)
  @Answers(RunDetails, 201)
  async restart(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Req() request: { body: unknown },
  ): Promise<RunDetails> {
    if (uuidOf('run', id) === undefined) throw runNotFound(id);
    const asked = checkBody(RunRestart, request.body ?? {}, { prefix: 'run' });
    const versions = {
      definition: (workflowId: string, version: string) => this.definitions.find(workflowId, version),
      active: (workflowId: string) => this.workflows.get(workflowId),
    };
    const again = await restartOf(this.store, versions, { ...asked, runId: id, orgId: caller.orgId });
    const { retrySchedule } = this.settings;
    return this.start(caller, { ...again, runId: newIdFor(caller, 'run'), retrySchedule });
  }

  private async start(caller: Caller, run: Omit<RunToBegin, 'by'>): Promise<RunDetails> {
    const { runId } = run;
    const now = this.clock.now();
    const events = firstAppend({ ...run, by: caller.actor }, now);
    const appended = await appendOnce(this.store, streams.run(runId), events);
    const { position, repeated } = appended;
    if (!repeated) logFailures(this.log, events);
    await hasSeen(this.progress, followers.runViews, position);
    // The same Idempotency-Key again: the run is there, and perhaps further by now.
    if (repeated) return this.view(caller, runId);
    const recorded = asRecorded(streams.run(runId), events, appended, now);
    return this.details(rowOf(recorded)!, recorded);
  }

  @Get('runs')
  @ApiOperation({ summary: 'List runs', description: 'Newest first.' })
  @ApiQuery({ name: 'workflow', required: false, description: 'A name.' })
  @ApiQuery({ name: 'status', required: false, enum: STATUSES })
  @ApiQuery({ name: 'eventId', required: false, description: 'Runs started by this event.' })
  @ApiQuery({ name: 'version', required: false })
  @ApiQuery({ name: 'trigger', required: false, enum: TRIGGERS })
  @ApiQuery({ name: 'errorCode', required: false, description: 'Such as `http.status`.' })
  @ApiQuery({ name: 'from', required: false, description: 'RFC 3339: runs started since then.' })
  @ApiQuery({ name: 'to', required: false, description: 'RFC 3339: runs started before then.' })
  @AnswersPage(RunAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('workflow') workflow?: string,
    @Query('status') status?: string,
    @Query('eventId') eventId?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
    @Query() { version, trigger, errorCode, from, to }: RunFilter = {},
  ): Promise<Page<RunAnswer>> {
    if (trigger && !TRIGGERS.some((one) => one === trigger))
      throw new Rejected('invalid', 'list.bad_filter', `"trigger" must be one of ${TRIGGERS.join(', ')}.`);
    if (status && !STATUSES.some((one) => one === status))
      throw new Rejected('invalid', 'list.bad_filter', `"status" must be one of ${STATUSES.join(', ')}.`);
    const paging = pagingOf(limit, cursor, ['time', 'text']);
    const query = this.database
      .getRepository(RunView)
      .createQueryBuilder('run')
      .where('run.orgId = :orgId', { orgId })
      .orderBy('run.startedAt', 'DESC')
      .addOrderBy('run.id', 'DESC')
      .limit(paging.limit + 1);
    if (workflow) query.andWhere('run.workflow = :workflow', { workflow });
    if (status) query.andWhere('run.status = :status', { status });
    if (eventId) query.andWhere('run.eventId = :eventId', { eventId });
    if (version) query.andWhere('run.version = :version', { version });
    if (trigger) query.andWhere('run.trigger = :trigger', { trigger });
    if (errorCode) query.andWhere(`run.error->>'code' = :errorCode`, { errorCode });
    if (from) query.andWhere('run.startedAt >= :from', { from: timeOf('from', from) });
    if (to) query.andWhere('run.startedAt < :to', { to: timeOf('to', to) });
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
  async view(@CurrentCaller() { orgId }: Caller, @Param('id') id: string): Promise<RunDetails> {
    if (uuidOf('run', id) === undefined) throw runNotFound(id);
    const events = (await readWhole(this.store, streams.run(id))).filter((event) => event.isReadable);
    // Where no worker has written the row yet, the stream tells the same.
    const row = (await this.database.getRepository(RunView).findOneBy({ id })) ?? rowOf(events);
    if (row?.orgId !== orgId) throw runNotFound(id);
    return { ...(await this.details(row, events)), ...(await this.childrenOf(row)) };
  }

  private async details(row: RunView, events: readonly RecordedEvent[]): Promise<RunDetails> {
    const definition = await this.definitions.find(row.workflowId, row.version);
    return { ...answerOf(row), ...detailsOf(events), timeline: timelineOf(events, definition) };
  }

  /** Runs that its steps asked for. The status of one that has not begun is not known. */
  private async childrenOf({ id, orgId }: RunView): Promise<{ children?: ChildRun[] }> {
    const rows = await this.database.query<(Omit<ChildRun, 'status'> & { status: RunStatus | null })[]>(
      `select c.child_id as id, c.workflow, c.path, r.status
         from views.run_children c left join views.runs r on r.id = c.child_id
        where c.parent_id = $1 and c.org_id = $2 order by c.position limit 1000`,
      [id, orgId],
    );
    if (rows.length === 0) return {};
    return { children: rows.map(({ status, ...child }) => (status === null ? child : { ...child, status })) };
  }

  @Post('runs/:id/cancel')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Cancel a run',
    description:
      'Immediately: `onFailure` does not run, the steps of `finally` do. Requests to other stages are not undone.',
  })
  @Answers(RunDetails)
  async cancel(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<RunDetails> {
    const { position, isOver } = await cancelRun(
      this.store,
      { runId: id, orgId: caller.orgId, by: caller.actor },
      () => this.clock.now(),
      (workflowId, version) => this.definitions.find(workflowId, version),
    );
    if (await hasSeen(this.progress, followers.runViews, position)) return this.view(caller, id);
    const shown = await this.view(caller, id);
    return isOver ? { ...shown, status: 'cancelled' } : shown;
  }
}

/** What is in the stream alone. */
function detailsOf(events: readonly RecordedEvent[]): Omit<RunDetails, keyof RunAnswer | 'children' | 'timeline'> {
  const started = events.find((event) => event.is('workflow.started'));
  const completed = events.find((event) => event.is('workflow.completed'));
  const cancelled = events.find(
    (event) => event.is('run.cancelled', 'run.finally_started') && event.data.by !== undefined,
  );
  const because = started?.is('workflow.started') ? started.data.trigger.because : undefined;
  const restarted = started?.is('workflow.started') ? started.data.restartOf : undefined;
  return {
    ...(started?.is('workflow.started') && started.data.parent && { parent: started.data.parent }),
    ...(because !== undefined && { because }),
    ...(restarted !== undefined && { restartOf: restarted }),
    inputs: started?.is('workflow.started') ? started.data.inputs : {},
    ...(completed?.is('workflow.completed') ? { outputs: completed.data.outputs } : {}),
    ...(cancelled?.is('run.cancelled', 'run.finally_started') ? { cancelledBy: cancelled.data.by } : {}),
  };
}

const answerOf = (row: RunView): RunAnswer => ({
  id: row.id,
  workflow: row.workflow,
  workflowId: row.workflowId,
  version: row.version,
  status: row.status,
  trigger: row.trigger,
  ...(row.eventId === null ? {} : { eventId: row.eventId }),
  ...(row.eventType === null ? {} : { eventType: row.eventType }),
  ...(row.error === null ? {} : { error: row.error }),
  ...(row.until === null ? {} : { until: row.until.toISOString() }),
  startedAt: row.startedAt.toISOString(),
  ...(row.endedAt === null ? {} : { endedAt: row.endedAt.toISOString() }),
});

function timeOf(name: string, text: string): Date {
  const time = parseTime(text);
  if (time) return time;
  throw new Rejected('invalid', 'list.bad_filter', `"${name}" must be a time such as 2026-11-20T13:14:15Z.`);
}
