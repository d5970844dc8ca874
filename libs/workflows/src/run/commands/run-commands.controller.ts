import { Controller, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, Takes } from '#libs/access/src/shapes.controller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { RunDetails } from '#libs/events/src/shapes/run-shape.js';
import { RunRestart, RunRetry } from '#libs/events/src/shapes/workflow-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { uuid5, uuidOf } from '#libs/kernel/src/ids.js';

import { Definitions } from '../../workflow/definitions.js';
import { WorkflowTable } from '../../workflow/workflow.table.js';
import { ShownRuns } from '../shown/shown-runs.adapter.js';
import { StoredRunSnapshots } from '../advance/run-snapshots.adapter.js';
import { BeginRun } from './begin-run.adapter.js';
import { cancelRun } from './cancel-run.js';
import { runNotFound } from './change-run.js';
import { restartOf } from './restart-run.js';
import { pauseRun, resumeRun } from './hold-run.js';
import { retryRun } from './retry-run.js';

/** What can be done with one run. */
@ApiTags('runs')
@Controller('api/v1/runs/:id')
export class RunCommandsController {
  private readonly now = (): Date => this.clock.now();

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(WorkflowTable) private readonly workflows: WorkflowTable,
    @Inject(Definitions) private readonly definitions: Definitions,
    @Inject(BeginRun) private readonly beginRun: BeginRun,
    @Inject(ShownRuns) private readonly shown: ShownRuns,
    @Inject(StoredRunSnapshots) private readonly snapshots: StoredRunSnapshots,
  ) {}

  @Post('cancel')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Cancel a run',
    description:
      'Immediately: `onFailure` does not run, the steps of `finally` do. Deliveries that it asked for and that have not begun are withdrawn.',
  })
  @Answers(RunDetails)
  async cancel(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<RunDetails> {
    const command = { runId: known(id), orgId: caller.orgId, by: caller.actor };
    return this.shown.changed(
      caller.orgId,
      await cancelRun(
        this.store,
        command,
        this.now,
        (workflowId, version) => this.definitions.find(workflowId, version),
        this.snapshots,
      ),
    );
  }

  @Post('pause')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Pause a run',
    description:
      'Nothing new begins in it. Attempts under way end; timers that become due meanwhile fire when it is resumed.',
  })
  @Answers(RunDetails)
  async pause(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<RunDetails> {
    const command = { runId: known(id), orgId: caller.orgId, by: caller.actor };
    return this.shown.changed(caller.orgId, await pauseRun(this.store, command, this.now, this.snapshots));
  }

  @Post('resume')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({ summary: 'Resume a run', description: 'One that is paused or blocked.' })
  @Answers(RunDetails)
  async resume(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<RunDetails> {
    const command = { runId: known(id), orgId: caller.orgId, by: caller.actor };
    return this.shown.changed(caller.orgId, await resumeRun(this.store, command, this.now, this.snapshots));
  }

  @Post('retry')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Let a failed run go on',
    description:
      'From the steps that failed. What has completed is not done again. With `version` it goes on with another version of the workflow, in which the steps that it has behind it are the same.',
  })
  @Takes(RunRetry)
  @Answers(RunDetails)
  async retry(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Req() request: { body: unknown },
  ): Promise<RunDetails> {
    const { version } = checkBody(RunRetry, request.body ?? {}, { prefix: 'run' });
    const { orgId, actor: by, idempotencyKey: key } = caller;
    const changed = await retryRun(
      this.store,
      this.definitions,
      {
        runId: known(id),
        orgId,
        by,
        ...(version !== undefined && { version: String(version) }),
        ...(key !== undefined && { request: uuid5('retry', orgId, key) }),
      },
      this.now,
    );
    return this.shown.changed(orgId, changed);
  }

  @Post('restart')
  @Roles('designer')
  @ApiOperation({
    summary: 'Do a run again',
    description:
      'Another run with the event and the inputs of one that has ended, from the first step, or with `from` from a later one: then the steps before it are not run again, and keep their outputs. `restartOf` names the earlier run.',
  })
  @Takes(RunRestart)
  @Answers(RunDetails, 201)
  async restart(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Req() request: { body: unknown },
  ): Promise<RunDetails> {
    const asked = checkBody(RunRestart, request.body ?? {}, { prefix: 'run' });
    const newRunId = newIdFor(caller, 'run');
    const again = await restartOf(
      this.store,
      { find: (id, version) => this.definitions.find(id, version), workflows: this.workflows },
      { ...asked, runId: known(id), newRunId, orgId: caller.orgId },
    );
    return this.beginRun.begin(caller, again);
  }
}

function known(id: string): string {
  if (uuidOf('run', id) === undefined) throw runNotFound(id);
  return id;
}
