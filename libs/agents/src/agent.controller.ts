import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource, Not } from 'typeorm';

import { newAddressId } from '#libs/access/src/address-id.js';
import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets.js';
import type { Committed, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { PREFIXES, randomText } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';

import { configProblems, refuseProblems } from './agent-settings.js';
import { AgentAnswer, AgentChanges, ExecutionAnswer, NewAgent } from './agent.body.js';
import { type Agent, agentNotFound, type AgentSettings, RegisterAgent, RemoveAgent, UpdateAgent } from './agent.js';
import { AgentView } from './agent.view.js';
import { Executions } from './executions.adapter.js';

const DEFAULTS = { config: {}, webhookEnabled: false, auth: 'none', rateLimit: 100, maxConcurrent: 10 } as const;

/** Agents, what they were asked to do, and their webhooks. */
@ApiTags('agents')
@Controller(['api/v1/agents', 'agents'])
export class AgentController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Executions) private readonly executions: Executions,
    @Inject(EventStore) private readonly store: EventStore,
  ) {}

  @Post()
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Set an agent up' })
  @ApiResponse({ status: 201, type: AgentAnswer })
  async create(@CurrentCaller() caller: Caller, @Body() body: NewAgent): Promise<AgentAnswer> {
    const { secret: given, ...rest } = body;
    const settings: AgentSettings = { ...DEFAULTS, ...withoutUndefined(rest) } as AgentSettings;
    refuseProblems(configProblems(settings.runtime, settings.config));
    const { secrets, store } = this;
    const id = await newAddressId(caller, { prefix: PREFIXES.agent, stream: streams.agent, secrets, store });
    await this.refuseTakenName(caller, settings.name, id);
    const wanted = given ?? (needsSecret(settings) ? newSecret() : undefined);
    const reference = wanted === undefined ? undefined : `${id}/secret/1`;
    // The same request sent again is shown what was stored at first.
    const secret = reference && (await this.secrets.put(caller.orgId, reference, wanted!));
    await this.run(new RegisterAgent(id, caller, settings, reference));
    return { ...(await this.view(caller, id)), ...(secret !== undefined && { secret }) };
  }

  @Get()
  @ApiOperation({ summary: 'List agents', description: 'Oldest first.' })
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<AgentAnswer>> {
    const paging = pagingOf(limit, cursor, 2);
    const query = this.database
      .getRepository(AgentView)
      .createQueryBuilder('agent')
      .where('agent.orgId = :orgId and not agent.removed', { orgId })
      .orderBy('agent.createdAt')
      .addOrderBy('agent.id')
      .limit(paging.limit + 1);
    if (paging.after)
      query.andWhere('(agent.createdAt, agent.id) > (:at::timestamptz, :id)', {
        at: paging.after[0],
        id: paging.after[1],
      });
    const placeOf = ({ createdAt, id }: AgentView) => [createdAt.toISOString(), id];
    return pageOf(await query.getMany(), paging, placeOf, (row) => this.answer(row));
  }

  @Get(':id')
  @ApiOperation({ summary: 'One agent' })
  @ApiResponse({ status: 200, type: AgentAnswer })
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<AgentAnswer> {
    return this.answer(await this.find(caller, id));
  }

  @Patch(':id')
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Change an agent', description: '`webhookEnabled: true` hands out its URL.' })
  @ApiResponse({ status: 200, type: AgentAnswer })
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() { secret: given, ...body }: AgentChanges,
  ): Promise<AgentAnswer> {
    const { settings, hasSecret } = await this.find(caller, id);
    const changes = withoutUndefined(body) as Partial<AgentSettings>;
    const next = { ...settings, ...changes };
    refuseProblems(configProblems(next.runtime, next.config));
    await this.refuseTakenName(caller, next.name, id);
    const secret = given ?? (needsSecret(next) && !hasSecret ? newSecret() : undefined);
    const reference = secret === undefined ? undefined : await this.keep(caller, id, secret);
    await this.run(new UpdateAgent(id, caller, changes, reference));
    return { ...(await this.view(caller, id)), ...(secret !== undefined && { secret }) };
  }

  @Delete(':id')
  @Roles('designer', 'integrator')
  @HttpCode(204)
  @ApiOperation({ summary: 'Take an agent away', description: 'Its executions stay.' })
  async remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.run(new RemoveAgent(id, caller));
  }

  @Get(':id/executions')
  @ApiOperation({
    summary: 'What an agent was asked to do',
    description:
      'Newest first. What no runtime has begun is pending; by name also what was asked of an agent that is not there yet.',
  })
  @ApiQuery({ name: 'trigger', required: false, enum: ['webhook', 'rule', 'workflow', 'manual', 'schedule'] })
  @ApiQuery({ name: 'status', required: false })
  history(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query('trigger') trigger?: string,
    @Query('status') status?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<ExecutionAnswer>> {
    return this.executions.list(caller.orgId, id, { trigger, status }, pagingOf(limit, cursor, 2));
  }

  @Get(':id/executions/:executionId')
  @ApiOperation({ summary: 'One execution' })
  @ApiResponse({ status: 200, type: ExecutionAnswer })
  execution(
    @CurrentCaller() { orgId }: Caller,
    @Param('id') id: string,
    @Param('executionId') executionId: string,
  ): Promise<ExecutionAnswer> {
    return this.executions.view(orgId, id, executionId);
  }

  @Post(':id/executions/:executionId/cancel')
  @Roles('designer', 'integrator')
  @HttpCode(200)
  @ApiOperation({ summary: 'Cancel an execution', description: 'What has ended already stays as it is.' })
  @ApiResponse({ status: 200, type: ExecutionAnswer })
  cancel(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Param('executionId') executionId: string,
  ): Promise<ExecutionAnswer> {
    return this.executions.cancel(caller, id, executionId);
  }

  /** Rules and workflows name an agent by its name too: it means one. */
  private async refuseTakenName({ orgId }: Caller, name: string, id: string): Promise<void> {
    const row = await this.database.getRepository(AgentView).findOneBy({ orgId, name, removed: false, id: Not(id) });
    if (!row) return;
    throw new Rejected('conflict', 'agent.name_taken', `There is an agent "${name}" already. Choose another name.`, {
      problems: [{ pointer: '/name', detail: 'is taken' }],
    });
  }

  private async keep({ orgId }: Caller, id: string, secret: string): Promise<string> {
    const reference = `${id}/secret/${randomText(9)}`;
    await this.secrets.put(orgId, reference, secret);
    return reference;
  }

  private async run(command: ThingCommand<Agent>): Promise<void> {
    const { position } = await this.commands.execute<ThingCommand<Agent>, Committed<Agent>>(command);
    await Promise.all([
      this.progress.whenProcessed(followers.agentViews, position),
      this.progress.whenProcessed(followers.agentReceivers, position),
    ]);
  }

  private async find({ orgId }: Caller, id: string): Promise<AgentView> {
    const row = await this.database.getRepository(AgentView).findOneBy({ id, orgId, removed: false });
    if (!row) throw agentNotFound(id);
    return row;
  }

  private answer({ id, settings, hasSecret, createdAt, updatedAt }: AgentView): AgentAnswer {
    return {
      id,
      ...settings,
      webhookUrl: settings.webhookEnabled ? `${this.settings.publicUrl}/agents/${id}/webhook` : null,
      hasSecret,
      createdAt: createdAt.toISOString(),
      updatedAt: updatedAt.toISOString(),
    };
  }
}

const needsSecret = ({ webhookEnabled, auth }: AgentSettings): boolean => webhookEnabled && auth !== 'none';
const newSecret = (): string => `mrs_${randomText(32)}`;

const withoutUndefined = (given: object): object =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
