import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Egress } from '#libs/egress/src/egress.js';
import type { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { requestedExecutionId } from '#libs/events/src/envelope.js';
import { type AgentSettings, agentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { newId, PREFIXES, uuid7 } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { StageProcess } from '../../persistence/testing/stage-process.js';
import { AgentProjection } from '../src/agent/agent.projection.js';
import { AgentView } from '../src/agent/agent.view.js';
import { AgentsModule } from '../src/agents.module.js';
import { Executions } from '../src/execution/execution-list.adapter.js';
import { ExecutionProjection } from '../src/execution/execution.projection.js';
import { ExecutionLinkView, ExecutionView } from '../src/execution/execution.view.js';
import { FollowRuns } from '../src/execution/follow-runs.subscriber.js';
import { MissingAgents } from '../src/execution/missing-agents.adapter.js';
import { RunExecution } from '../src/execution/run-execution.worker.js';
import { StoppedExecutions } from '../src/execution/stopped-executions.js';
import { RequestAgents } from '../src/execution/webhook.subscriber.js';
import { FakeEgress, MemorySecrets, ORG } from './execution-world.js';

export interface RunningOptions {
  readonly databaseUrl: string;
  /** Shared by the processes of a test. */
  readonly store: MemoryEventStore;
  readonly egress?: FakeEgress;
}

/** One process with the stage and everything around it but HTTP. */
export class Running {
  readonly caller: Caller = { orgId: ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
  readonly executions = this.stage.find(Executions);
  readonly missing = this.stage.find(MissingAgents);
  readonly append = this.stage.append.bind(this.stage);
  readonly logged = this.stage.logged.bind(this.stage);
  /** Resolves when outcomes up to the position were given to executions. */
  readonly followed = (position: bigint) => this.stage.runner.whenProcessed(followers.followRuns, position);

  private constructor(
    private readonly stage: StageProcess,
    readonly egress: FakeEgress,
  ) {}

  static async start({ databaseUrl, store, egress = new FakeEgress() }: RunningOptions): Promise<Running> {
    const stage = await StageProcess.start({
      databaseUrl,
      store,
      orgId: ORG,
      module: AgentsModule,
      entities: [AgentView, ExecutionView, ExecutionLinkView],
      provided: [
        [Egress, egress],
        [Secrets, new MemorySecrets()],
        [Settings, { publicUrl: 'https://mill.example.com', agentCommands: [], correlationBudget: 10_000 }],
        [NamedSecretValues, new NamedSecretValues(store, new MemorySecrets())],
      ],
      runs: (find) => ({
        subscribers: [find(AgentProjection), find(RequestAgents), find(ExecutionProjection), find(FollowRuns)],
        tables: [find(StoppedExecutions)],
        workers: [find(RunExecution)],
      }),
    });
    return new Running(stage, egress);
  }

  stop(): Promise<void> {
    return this.stage.stop();
  }

  async agent(settings: Partial<AgentSettings> = {}): Promise<string> {
    const agentId = newId(PREFIXES.agent);
    const all = withDefaults(agentSettings, {
      name: agentId,
      runtime: 'http',
      config: { url: 'https://agents.example.com' },
      ...settings,
    });
    const stream = streams.agent(agentId);
    const { position } = await this.append('agent.registered', { agentId, settings: all }, { stream });
    await this.stage.runner.whenProcessed(followers.agentViews, position);
    return agentId;
  }

  /** Requests an execution as a step of a run does. */
  async requestedByRun(agent: string, runId: string, isChild = true): Promise<string> {
    const id = uuid7();
    const requestedBy = { kind: 'run' as const, runId, stepId: 'ask' };
    const data = { requestedBy, eventId: 'evt_1', agent, input: {}, ...(isChild && { isChild }) };
    const context = { id, orgId: ORG, actor: `run/${runId}`, now: new Date() };
    await this.stage.store.append(streams.run(runId), [newEvent({ type: 'agent.requested', data }, context)], 'any');
    return requestedExecutionId({ id, data: {} });
  }

  untilStatus(agent: string, id: string, status: string) {
    return waitFor(`the execution to be ${status}`, async () => {
      const shown = await this.executions.view(ORG, agent, id).catch(() => undefined);
      return shown?.status === status && shown;
    });
  }
}
