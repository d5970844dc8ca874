import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';

import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';

import { AgentController } from './agent.controller.js';
import { agent, register, remove, update, RegisterAgent, RemoveAgent, UpdateAgent } from './agent.js';
import { AgentProjection } from './agent.projection.js';
import { Executions } from './execution-list.adapter.js';
import { RequestAgents } from './webhook.subscriber.js';

/** Agents: who they are, and what they were asked to do. */
@Module({
  imports: [CqrsModule],
  controllers: [AgentController],
  providers: [
    ...commandHandlers(agent, [on(RegisterAgent, register), on(UpdateAgent, update), on(RemoveAgent, remove)]),
    AgentProjection,
    RequestAgents,
    Executions,
  ],
  exports: [AgentProjection, RequestAgents],
})
export class AgentsModule {}
