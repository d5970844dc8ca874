import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers } from '#libs/access/src/shapes.controller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { WorkflowPause } from '#libs/events/src/shapes/workflow-shape.js';

import { notFound, PauseWorkflow, ResumeWorkflow, type Workflow, workflowIdOf } from './workflow.js';

@ApiTags('workflows')
@Controller('api/v1/workflows/:name')
export class PauseController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
  ) {}

  @Post('pause')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Pause a workflow',
    description: 'Its triggers start no runs. Runs under way go on, and runs can be started by hand.',
  })
  @Answers(WorkflowPause)
  pause(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<WorkflowPause> {
    return this.run(new PauseWorkflow(workflowIdOf(caller.orgId, name), caller));
  }

  @Post('resume')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Resume a workflow',
    description: 'What came while it was paused starts nothing; `schedule/backfill` starts what its schedules missed.',
  })
  @Answers(WorkflowPause)
  resume(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<WorkflowPause> {
    return this.run(new ResumeWorkflow(workflowIdOf(caller.orgId, name), caller));
  }

  private async run(command: ThingCommand<Workflow>): Promise<WorkflowPause> {
    const { workflows, startRuns, schedules } = followers;
    const { state } = await carryOut(this, command, workflows, startRuns, schedules);
    if (state.kind !== 'active') throw notFound();
    return { name: state.name, paused: state.paused };
  }
}
