import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Organisations } from '#libs/access/src/organisations.js';
import { SignedLinks } from '#libs/access/src/secrets/signed-links.js';
import { OrganisationTable } from '#libs/access/src/organisation/organisation.table.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Egress, type EgressOutcome, type EgressRequest } from '#libs/egress/src/egress.js';
import type { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { EventIndex } from '#libs/event-index/src/event-index.projection.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { causedBy, DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { MemorySecrets } from '../../access/testing/memory-secrets.js';
import { StageProcess } from '../../persistence/testing/stage-process.js';
import { ApprovalController } from '../src/approvals/approval.controller.js';
import { ApprovalProjection } from '../src/approvals/approval.projection.js';
import { ApprovalView } from '../src/approvals/approval.view.js';
import { AnswerWaits } from '../src/waits/answer-waits.subscriber.js';
import { AdvanceRun } from '../src/run/advance-run.worker.js';
import { EndConflicts } from '../src/run/turns/end-conflicts.worker.js';
import { CloseChildren } from '../src/run/children.subscriber.js';
import { Cancellations } from '../src/run/cancellations.js';
import { BulkRetryController } from '../src/run/bulk/bulk-retry.controller.js';
import { BulkRetryProjection } from '../src/run/bulk/bulk-retry.projection.js';
import { BulkRetryView } from '../src/run/bulk/bulk-retry.view.js';
import { RetryRuns } from '../src/run/bulk/retry-runs.worker.js';
import { WorkflowGraphController } from '../src/run/shown/workflow-graph.controller.js';
import { RunCommandsController } from '../src/run/commands/run-commands.controller.js';
import { RunController } from '../src/run/run.controller.js';
import { RunProjection } from '../src/run/run.projection.js';
import { RunView } from '../src/run/run.view.js';
import { StartRuns } from '../src/run/start.subscriber.js';
import { WorkflowFiles } from '../src/workflow/workflow-files.adapter.js';
import { WorkflowController } from '../src/workflow/workflow.controller.js';
import { WorkflowProjection } from '../src/workflow/workflow.projection.js';
import { WorkflowTable } from '../src/workflow/workflow.table.js';
import { WorkflowVersionView, WorkflowView } from '../src/workflow/workflow.view.js';
import { WorkflowsModule } from '../src/workflows.module.js';
import { testDefinitions } from './library.js';

/** A way out on which nothing leaves: each request is answered by the test. */
export class ScriptedEgress extends Egress {
  readonly requests: EgressRequest[] = [];
  answer: (request: EgressRequest) => Promise<EgressOutcome> = () => Promise.resolve(answered(200));

  request(request: EgressRequest): Promise<EgressOutcome> {
    this.requests.push(request);
    return this.answer(request);
  }

  refusal(): undefined {
    return undefined;
  }
}

export const answered = (status: number, body = ''): EgressOutcome => ({
  kind: 'response',
  status,
  headers: {},
  body: Buffer.from(body),
  truncated: false,
  latencyMs: 1,
});

export interface RunningOptions {
  readonly databaseUrl: string;
  /** Shared by several processes of one test. */
  readonly store: MemoryEventStore;
  readonly folder?: string;
  readonly working?: boolean;
  readonly log?: Log;
}

/** One process with the stage and everything around it but HTTP. */
export class Running {
  readonly caller: Caller = { orgId: DEFAULT_ORG, actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
  readonly append = this.stage.append.bind(this.stage);
  readonly logged = this.stage.logged.bind(this.stage);
  readonly workflows = this.stage.find(WorkflowController);
  readonly runs = this.stage.find(RunController);
  readonly bulk = this.stage.find(BulkRetryController);
  readonly graphs = this.stage.find(WorkflowGraphController);
  readonly commands = this.stage.find(RunCommandsController);
  readonly approvals = this.stage.find(ApprovalController);
  readonly files = this.stage.find(WorkflowFiles);
  readonly dataSource = this.stage.dataSource;

  private constructor(
    private readonly stage: StageProcess,
    readonly egress: ScriptedEgress,
  ) {}

  static async start({ databaseUrl, store, folder = '', working = true, log }: RunningOptions): Promise<Running> {
    const egress = new ScriptedEgress();
    const nowhere = () => undefined;
    const ownTypes = new OwnTypeTable();
    const plugins = new Plugins([{ name: 'test', sdk: 1, steps: testDefinitions }]);
    const stage = await StageProcess.start({
      databaseUrl,
      store,
      orgId: DEFAULT_ORG,
      module: WorkflowsModule,
      entities: [WorkflowView, WorkflowVersionView, RunView, BulkRetryView, ApprovalView],
      provided: [
        [Egress, egress],
        [
          Settings,
          {
            retrySchedule: [100, 200],
            workflowsDir: folder,
            correlationBudget: 10_000,
            publicUrl: 'https://millrace.example.com',
          },
        ],
        [Plugins, plugins],
        [Secrets, new MemorySecrets()],
        [OrganisationTable, { list: () => [{ id: DEFAULT_ORG }], watch: nowhere }],
        [Organisations, { isArchived: () => false }],
        [TokenTable, new TokenTable()],
        [SignedLinks, new SignedLinks(new Keyring([Buffer.alloc(32, 1)]), 'https://millrace.example.com')],
        [OwnTypeTable, ownTypes],
        [VocabularyTable, new VocabularyTable(new NamedSecretTable(), ownTypes, plugins)],
        [NamedSecretValues, { of: () => Promise.resolve(new Map()) }],
        [LOG, log ?? { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }],
      ],
      runs: (find) => ({
        subscribers: working
          ? [
              find(StartRuns),
              find(AnswerWaits),
              find(ApprovalProjection),
              find(CloseChildren),
              find(RunProjection),
              find(BulkRetryProjection),
              find(WorkflowProjection),
              find(EventIndex),
            ]
          : [],
        tables: [find(WorkflowTable), find(VocabularyTable), find(Cancellations)],
        workers: working ? [find(AdvanceRun), find(EndConflicts), find(RetryRuns)] : [],
      }),
    });
    return new Running(stage, egress);
  }

  async stop(): Promise<void> {
    await this.files.stop();
    await this.stage.stop();
  }

  save(source: string): Promise<object> {
    const name = /^name: *(\S+)/m.exec(source)![1]!;
    return this.workflows.save(this.caller, name, { body: source });
  }

  async begin(name: string, inputs: object = {}): Promise<string> {
    const run = (await this.runs.begin(this.caller, name, { body: { inputs } })) as { id: string };
    return run.id;
  }

  view(id: string): Promise<RunShown> {
    return this.runs.view(this.caller, id);
  }

  /** Resolves when the row of the run has one of the statuses. */
  async untilStatus(id: string, ...statuses: string[]): Promise<RunShown> {
    return waitFor(`run ${id} to be ${statuses.join(' or ')}`, async () => {
      const shown = await this.view(id);
      return statuses.includes(shown.status) && shown;
    });
  }

  /** Answers a request for a redelivery, as the stage of deliveries does. */
  async answer(request: RecordedEvent, status: number): Promise<void> {
    const { deliveryId } = request.data as { deliveryId: string };
    const data = { deliveryId, eventId: 'evt_1', eventType: 'git.push', attempt: 2, latencyMs: 1, status };
    const cause = causedBy(request);
    if (status < 300) await this.append('webhook.delivered', data, { cause });
    else
      await this.append(
        'webhook.failed',
        { ...data, failureClass: 'status', detail: `the receiver answered ${status}`, retryable: true },
        { cause },
      );
  }
}

export interface RunShown {
  readonly id: string;
  readonly status: string;
  readonly until?: string;
  readonly outputs?: unknown;
  readonly error?: { readonly code: string };
  readonly timeline: readonly {
    readonly path: string;
    readonly status: string;
    readonly output?: unknown;
    readonly waiting?: string;
    readonly attempts: readonly { readonly resumed: number }[];
  }[];
}
