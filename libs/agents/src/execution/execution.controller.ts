import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Public, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import {
  ApprovalVote,
  ExecutionAnswer,
  ExecutionDetail,
  ExecutionResult,
  ExecutionStatus,
  ExecutionTrigger,
  NewExecution,
  ResultAnswer,
} from '#libs/events/src/shapes/agents/execution-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import type { Page } from '#libs/kernel/src/paging.js';

import { CallbackTokens } from './callback-token.js';
import { Executions } from './execution-list.adapter.js';
import { receiveResult } from './receive-result.js';

const literals = (union: { readonly anyOf: readonly { readonly const: string }[] }): string[] =>
  union.anyOf.map((one) => one.const);

/** What agents were asked to do, and what became of it. */
@ApiTags('agents')
@Controller(['api/v1/agents', 'agents'])
export class ExecutionController {
  constructor(
    @Inject(Executions) private readonly executions: Executions,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(CallbackTokens) private readonly tokens: CallbackTokens,
  ) {}

  @Post(':id/executions')
  @Roles('designer', 'integrator')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Start an execution',
    description: 'It is pending while `maxConcurrent` executions of the agent are running.',
  })
  @Takes(NewExecution)
  @Answers(ExecutionDetail, 202)
  start(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() sent: object): Promise<ExecutionDetail> {
    const { input } = checkBody(NewExecution, sent, { prefix: 'execution' });
    return this.executions.request(caller, id, input);
  }

  @Get(':id/executions')
  @ApiOperation({
    summary: 'List the executions of an agent',
    description: 'Newest first. Given a name, requests to an agent that does not exist yet are listed too.',
  })
  @ApiQuery({ name: 'trigger', required: false, enum: literals(ExecutionTrigger) })
  @ApiQuery({ name: 'status', required: false, enum: literals(ExecutionStatus) })
  @AnswersPage(ExecutionAnswer)
  list(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') id: string,
    @Query('trigger') trigger?: string,
    @Query('status') status?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<ExecutionAnswer>> {
    return this.executions.list(orgId, id, { trigger, status, limit, cursor });
  }

  @Get(':id/executions/:executionId')
  @ApiOperation({ summary: 'One execution', description: 'With its steps, input and result.' })
  @Answers(ExecutionDetail)
  view(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') id: string,
    @Param('executionId') executionId: string,
  ): Promise<ExecutionDetail> {
    return this.executions.view(orgId, id, executionId);
  }

  @Post(':id/executions/:executionId/cancel')
  @Roles('designer', 'integrator')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Cancel an execution',
    description: 'Stops the call that is under way. An execution that has ended does not change.',
  })
  @Answers(ExecutionDetail)
  cancel(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Param('executionId') executionId: string,
  ): Promise<ExecutionDetail> {
    return this.executions.cancel(caller, id, executionId);
  }

  @Post(':id/executions/:executionId/approvals/:approvalId')
  @Roles('designer', 'integrator')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Decide about the call of a tool',
    description: 'The execution waits until then. The decision binds the arguments as they are shown in `approvals`.',
  })
  @Takes(ApprovalVote)
  @Answers(ExecutionDetail)
  decide(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Param('executionId') executionId: string,
    @Param('approvalId') approvalId: string,
    @Body() sent: object,
  ): Promise<ExecutionDetail> {
    const vote = checkBody(ApprovalVote, sent, { prefix: 'approval' });
    return this.executions.decide(caller, id, executionId, approvalId, vote);
  }

  @Post(':id/executions/:executionId/result')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    summary: 'Deliver the result of an execution',
    description:
      'For agents that answered 202. The token is the `callbackToken` of the request; it is valid for one execution and one result.',
  })
  @Takes(ExecutionResult)
  @Answers(ResultAnswer)
  result(
    @Param('id') agentId: string,
    @Param('executionId') executionId: string,
    @Headers('authorization') authorization: string | undefined,
    @Body() sent: object,
  ): Promise<ResultAnswer> {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    const { store, clock, tokens } = this;
    // A caller without a token learns nothing, not even what a result looks like.
    const read = (): ExecutionResult => checkBody(ExecutionResult, sent, { prefix: 'execution' });
    return receiveResult({ store, clock, tokens }, { agentId, executionId, token }, read);
  }
}
