import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { DataSource, Not } from 'typeorm';

import { newAddressId } from '#libs/access/src/address-id.js';
import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { Egress } from '#libs/egress/src/egress.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { Committed, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { shownId } from '#libs/events/src/shown-ids.js';
import { followers } from '#libs/events/src/followers.js';
import {
  AgentAnswer,
  AgentChanges,
  agentSettings,
  type AgentSettings,
  NewAgent,
} from '#libs/events/src/shapes/agents/agent-shape.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { streams } from '#libs/events/src/streams.js';
import { PREFIXES, randomText } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import { type Agent, agentNotFound, nameTaken, RegisterAgent, RemoveAgent, UpdateAgent } from './agent.js';
import { AgentView } from './agent.view.js';
import { type Allowed, checkConfig } from './config-check.js';

/** Agents and their webhooks. */
@ApiTags('agents')
@Controller(['api/v1/agents', 'agents'])
export class AgentController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) readonly progress: Progress,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Egress) private readonly egress: Egress,
  ) {}

  @Post()
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Create an agent' })
  @Takes(NewAgent)
  @Answers(AgentAnswer, 201)
  async create(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<AgentAnswer> {
    const { secret: given, ...rest } = checkBody(NewAgent, sent, {
      prefix: 'agent',
      check: checkConfig({}, this.allowed),
    });
    const settings = withDefaults(agentSettings, rest);
    const { secrets, store } = this;
    const id = await newAddressId(caller, { prefix: PREFIXES.agent, stream: streams.agent, secrets, store });
    await this.refuseTakenName(caller, settings.name, id);
    const wanted = given ?? (needsSecret(settings) ? newSecret() : undefined);
    const reference = wanted === undefined ? undefined : `${id}/secret/1`;
    // The same request sent again is shown what was stored at first.
    const secret = reference && (await this.secrets.put(caller.orgId, reference, wanted!));
    const committed = await this.run(new RegisterAgent(id, caller, settings, reference));
    return { ...this.saved(committed), ...(secret !== undefined && { secret }) };
  }

  @Get()
  @ApiOperation({ summary: 'List agents', description: 'Oldest first.' })
  @AnswersPage(AgentAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<AgentAnswer>> {
    const query = this.database.getRepository(AgentView).createQueryBuilder('agent');
    query.where('agent.orgId = :orgId and not agent.removed', { orgId });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { createdAt: 'time', id: 'text' });
    return { data: rows.map((row) => this.answer(row)), nextCursor };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One agent' })
  @Answers(AgentAnswer)
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<AgentAnswer> {
    return this.answer(await this.find(caller, id));
  }

  @Patch(':id')
  @Roles('designer', 'integrator')
  @ApiOperation({ summary: 'Change an agent', description: '`webhookEnabled: true` returns its webhook URL.' })
  @Takes(AgentChanges)
  @Answers(AgentAnswer)
  async change(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() sent: object): Promise<AgentAnswer> {
    const { settings, hasSecret } = await this.find(caller, id);
    const check = checkConfig(settings, this.allowed);
    const { secret: given, graceSeconds = 0, ...changes } = checkBody(AgentChanges, sent, { prefix: 'agent', check });
    const next = { ...settings, ...changes };
    await this.refuseTakenName(caller, next.name, id);
    const secret = given ?? (needsSecret(next) && !hasSecret ? newSecret() : undefined);
    const reference = secret === undefined ? undefined : await this.keep(caller, id, secret);
    const committed = await this.run(new UpdateAgent(id, caller, changes, reference, graceSeconds));
    return { ...this.saved(committed), ...(secret !== undefined && { secret }) };
  }

  @Delete(':id')
  @Roles('designer', 'integrator')
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove an agent', description: 'Its executions stay.' })
  async remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.run(new RemoveAgent(id, caller));
  }

  private get allowed(): Allowed {
    return { urlRefusal: (url) => this.egress.refusal(url), commands: this.settings.agentCommands };
  }

  /** Refuses early, before secrets are stored, and finds agents that are older than reservations of names. */
  private async refuseTakenName({ orgId }: Caller, name: string, id: string): Promise<void> {
    const row = await this.database.getRepository(AgentView).findOneBy({ orgId, name, removed: false, id: Not(id) });
    if (row) throw nameTaken(name);
  }

  private async keep({ orgId }: Caller, id: string, secret: string): Promise<string> {
    const reference = `${id}/secret/${randomText(9)}`;
    await this.secrets.put(orgId, reference, secret);
    return reference;
  }

  private run(command: ThingCommand<Agent>): Promise<Committed<Agent>> {
    return carryOut(this, command, followers.agentViews, followers.agentReceivers, followers.executionViews);
  }

  private async find({ orgId }: Caller, id: string): Promise<AgentView> {
    const row = await this.database.getRepository(AgentView).findOneBy({ id, orgId, removed: false });
    if (!row) throw agentNotFound(id);
    return row;
  }

  private saved({ id, state, createdAt, updatedAt }: Committed<Agent>): AgentAnswer {
    if (state.kind !== 'registered') throw agentNotFound(id);
    const { settings, secret } = state;
    return this.answer({ id, settings, hasSecret: secret !== undefined, createdAt, updatedAt });
  }

  private answer({
    id,
    settings,
    hasSecret,
    createdAt,
    updatedAt,
  }: Omit<AgentView, 'orgId' | 'name' | 'removed'>): AgentAnswer {
    return {
      id,
      shownId: shownId(id),
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
