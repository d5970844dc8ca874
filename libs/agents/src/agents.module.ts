import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Egress } from '#libs/egress/src/egress.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Settings } from '#libs/kernel/src/settings.js';

import { AgentController } from './agent/agent.controller.js';
import { agent, register, remove, update, RegisterAgent, RemoveAgent, UpdateAgent } from './agent/agent.js';
import { AgentProjection } from './agent/agent.projection.js';
import { CallbackTokens } from './execution/callback-token.js';
import { ExecutionController } from './execution/execution.controller.js';
import { Executions } from './execution/execution-list.adapter.js';
import { ExecutionProjection } from './execution/execution.projection.js';
import { FollowRuns } from './execution/follow-runs.subscriber.js';
import { MissingAgents } from './execution/missing-agents.adapter.js';
import { RunExecution } from './execution/run-execution.worker.js';
import { StoppedExecutions } from './execution/stopped-executions.js';
import { RequestAgents } from './execution/webhook.subscriber.js';

const POLL_MS = 2_000;

/** Agents: who they are, what they are asked to do, and doing it. */
@Module({
  imports: [CqrsModule, EventIndexModule],
  controllers: [AgentController, ExecutionController],
  providers: [
    ...commandHandlers(agent, [on(RegisterAgent, register), on(UpdateAgent, update), on(RemoveAgent, remove)]),
    AgentProjection,
    RequestAgents,
    Executions,
    ExecutionProjection,
    FollowRuns,
    { provide: CallbackTokens, useFactory: (secrets: Secrets) => new CallbackTokens(secrets), inject: [Secrets] },
    {
      provide: MissingAgents,
      useFactory: (database: DataSource, sources: DecisionSources) => new MissingAgents(database, sources),
      inject: [DataSource, DecisionSources],
    },
    { provide: StoppedExecutions, useFactory: () => new StoppedExecutions() },
    {
      provide: RunExecution,
      useFactory: (
        store: EventStore,
        clock: Clock,
        egress: Egress,
        secrets: Secrets,
        { agentCommands, publicUrl }: Settings,
        tokens: CallbackTokens,
        stopped: StoppedExecutions,
        named: NamedSecretValues,
        events: EventReader,
      ) => {
        const callbackToken = (orgId: string, executionId: string) => tokens.of(orgId, executionId);
        return new RunExecution({
          store,
          secrets,
          stopped,
          world: {
            clock,
            egress,
            agentCommands,
            publicUrl,
            pollMs: POLL_MS,
            callbackToken,
            events,
            secretValues: (orgId, names) => named.of(orgId, names),
          },
        });
      },
      inject: [
        EventStore,
        Clock,
        Egress,
        Secrets,
        Settings,
        CallbackTokens,
        StoppedExecutions,
        NamedSecretValues,
        EventReader,
      ],
    },
  ],
  exports: [AgentProjection, RequestAgents, ExecutionProjection, FollowRuns, RunExecution, StoppedExecutions],
})
export class AgentsModule {}
