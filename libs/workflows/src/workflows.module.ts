import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';

import { NamedSecretValues } from '#libs/access/src/named-secrets/secret-values.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { SignedLinks } from '#libs/access/src/secrets/signed-links.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { Egress } from '#libs/egress/src/egress.js';
import { Worlds } from '#libs/event-index/src/worlds.js';
import { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventIndexModule } from '#libs/event-index/src/event-index.module.js';
import { commandHandlers, on } from '#libs/event-store/src/command-handlers.js';
import { OrganisationTable } from '#libs/access/src/organisation/organisation.table.js';
import { Organisations } from '#libs/access/src/organisations.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { LOG, type Log } from '#libs/kernel/src/log.js';
import { Settings } from '#libs/kernel/src/settings.js';
import { scheduledWork } from '#libs/persistence/src/claims/scheduled-work.adapter.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { StepLibrary } from './steps/step-library.js';
import { AdvanceRun } from './run/advance-run.worker.js';
import { StoredRunSnapshots } from './run/advance/run-snapshots.adapter.js';
import { CloseChildren } from './run/children.subscriber.js';
import { Cancellations } from './run/cancellations.js';
import { NotedOutcomes } from './run/outcomes.adapter.js';
import { EndConflicts } from './run/turns/end-conflicts.worker.js';
import { hasTurn } from './run/turns/turns.adapter.js';
import { BeginRun } from './run/commands/begin-run.adapter.js';
import { RunCommandsController } from './run/commands/run-commands.controller.js';
import { BulkRetryController } from './run/bulk/bulk-retry.controller.js';
import { BulkRetryProjection } from './run/bulk/bulk-retry.projection.js';
import { FailedRunRows } from './run/bulk/failed-runs.adapter.js';
import { FailedRuns, RetryRuns } from './run/bulk/retry-runs.worker.js';
import { WorkflowGraphController } from './run/shown/workflow-graph.controller.js';
import { ShownRuns } from './run/shown/shown-runs.adapter.js';
import { RunController } from './run/run.controller.js';
import { RunProjection } from './run/run.projection.js';
import { StartRuns } from './run/start.subscriber.js';
import { FireTicks } from './schedule/fire-ticks.worker.js';
import { ScheduleController } from './schedule/schedule.controller.js';
import { ScheduleTicks } from './schedule/schedule.subscriber.js';
import { type NextTick, TICKS } from './schedule/tick-work.js';
import { ApprovalLinkRoutes } from './approvals/approval-links.adapter.js';
import { ApprovalLinks, signedLink } from './approvals/approval-links.js';
import { ApprovalController } from './approvals/approval.controller.js';
import { ApprovalProjection } from './approvals/approval.projection.js';
import { EndGroups } from './decisions/flow/end-groups.worker.js';
import { lastOfGroup } from './decisions/flow/trigger-flow.adapter.js';
import { TriggerDecisionController } from './decisions/trigger-decision.controller.js';
import { TriggerDecisionProjection } from './decisions/trigger-decision.projection.js';
import { WorkflowDecisions } from './decisions/workflow-decisions.adapter.js';
import { AnswerWaits } from './waits/answer-waits.subscriber.js';
import { IndexedLookBack } from './waits/look-back.adapter.js';
import { WorkflowWorlds } from './decisions/workflow-worlds.js';
import { StoredWaitKeys } from './waits/wait-keys.adapter.js';
import { StoredWaits } from './waits/wait-rows.adapter.js';
import { Definitions } from './workflow/definitions.js';
import { PauseController } from './workflow/pause.controller.js';
import { WorkflowWebhooks } from './workflow/workflow-webhook.js';
import { WorkflowFiles } from './workflow/workflow-files.adapter.js';
import { WorkflowController } from './workflow/workflow.controller.js';
import {
  ActivateWorkflow,
  ArchiveWorkflow,
  PauseWorkflow,
  ResumeWorkflow,
  SaveWorkflow,
  activate,
  archive,
  pause,
  resume,
  save,
  workflow,
} from './workflow/workflow.js';
import { WorkflowProjection } from './workflow/workflow.projection.js';
import { WorkflowTable } from './workflow/workflow.table.js';
import { YamlBody } from './workflow/yaml-body.adapter.js';

/** Workflows: definitions and versions, what starts a run, and how a run goes on. */
@Module({
  imports: [CqrsModule, EventIndexModule],
  controllers: [
    WorkflowController,
    PauseController,
    ScheduleController,
    TriggerDecisionController,
    RunController,
    WorkflowGraphController,
    BulkRetryController,
    RunCommandsController,
    ApprovalController,
  ],
  providers: [
    ...commandHandlers(workflow, [
      on(SaveWorkflow, save),
      on(ActivateWorkflow, activate),
      on(ArchiveWorkflow, archive),
      on(PauseWorkflow, pause),
      on(ResumeWorkflow, resume),
    ]),
    WorkflowProjection,
    RunProjection,
    ShownRuns,
    BeginRun,
    BulkRetryProjection,
    ApprovalProjection,
    TriggerDecisionProjection,
    StartRuns,
    CloseChildren,
    ScheduleTicks,
    YamlBody,
    {
      provide: StepLibrary,
      useFactory: (plugins: Plugins) => new StepLibrary([...plugins.steps.values()], plugins.sources),
      inject: [Plugins],
    },
    {
      provide: WorkflowWebhooks,
      useFactory: (store: EventStore, secrets: Secrets, progress: Progress, { publicUrl }: Settings) =>
        new WorkflowWebhooks({ store, secrets, progress, publicUrl }),
      inject: [EventStore, Secrets, Progress, Settings],
    },
    { provide: WorkflowTable, useFactory: (library: StepLibrary) => new WorkflowTable(library), inject: [StepLibrary] },
    {
      provide: Definitions,
      useFactory: (store: EventStore, library: StepLibrary) => new Definitions(store, library),
      inject: [EventStore, StepLibrary],
    },
    {
      provide: AnswerWaits,
      useFactory: (store: EventStore, clock: Clock, database: DataSource, events: EventReader, progress: Progress) => {
        const past = new IndexedLookBack(events, progress);
        const keys = new StoredWaitKeys(database, store, past);
        return new AnswerWaits(store, clock, new StoredWaits(database), past, keys);
      },
      inject: [EventStore, Clock, DataSource, EventReader, Progress],
    },
    ApprovalLinkRoutes,
    {
      provide: ApprovalLinks,
      useFactory: (links: SignedLinks, store: EventStore, tokens: TokenTable, clock: Clock) =>
        new ApprovalLinks(links, store, tokens, () => clock.now()),
      inject: [SignedLinks, EventStore, TokenTable, Clock],
    },
    {
      provide: WorkflowDecisions,
      useFactory: (database: DataSource, workflows: WorkflowTable, sources: DecisionSources) =>
        new WorkflowDecisions(database, workflows, sources),
      inject: [DataSource, WorkflowTable, DecisionSources],
    },
    {
      provide: WorkflowWorlds,
      useFactory: (library: StepLibrary, worlds: Worlds) => new WorkflowWorlds(library, worlds),
      inject: [StepLibrary, Worlds],
    },
    { provide: Cancellations, useFactory: () => new Cancellations() },
    {
      provide: StoredRunSnapshots,
      useFactory: (database: DataSource) => new StoredRunSnapshots(database),
      inject: [DataSource],
    },
    {
      provide: AdvanceRun,
      useFactory: (
        store: EventStore,
        clock: Clock,
        egress: Egress,
        database: DataSource,
        definitions: Definitions,
        cancellations: Cancellations,
        progress: Progress,
        links: SignedLinks,
        secrets: NamedSecretValues,
        ownTypes: OwnTypeTable,
        snapshots: StoredRunSnapshots,
        log: Log,
      ) => {
        const outcomes = new NotedOutcomes(database, store, progress);
        const link = signedLink(links);
        const turns = (runId: string, arrival: bigint) => hasTurn(database, runId, arrival);
        return new AdvanceRun(
          store,
          clock,
          egress,
          definitions,
          outcomes,
          cancellations,
          link,
          secrets,
          ownTypes,
          turns,
          snapshots,
          log,
        );
      },
      inject: [
        EventStore,
        Clock,
        Egress,
        DataSource,
        Definitions,
        Cancellations,
        Progress,
        SignedLinks,
        NamedSecretValues,
        OwnTypeTable,
        StoredRunSnapshots,
        LOG,
      ],
    },
    {
      provide: FailedRuns,
      useFactory: (database: DataSource, workflows: WorkflowTable) => new FailedRunRows(database, workflows),
      inject: [DataSource, WorkflowTable],
    },
    {
      provide: RetryRuns,
      useFactory: (store: EventStore, clock: Clock, definitions: Definitions, failed: FailedRuns) =>
        new RetryRuns(store, clock, definitions, failed),
      inject: [EventStore, Clock, Definitions, FailedRuns],
    },
    {
      provide: EndConflicts,
      useFactory: (store: EventStore, clock: Clock, definitions: Definitions) =>
        new EndConflicts(store, clock, (id, version) => definitions.find(id, version)),
      inject: [EventStore, Clock, Definitions],
    },
    {
      provide: EndGroups,
      useFactory: (store: EventStore, clock: Clock, progress: Progress, database: DataSource) =>
        new EndGroups({ store, clock, progress, lastOf: (group) => lastOfGroup(database, group) }),
      inject: [EventStore, Clock, Progress, DataSource],
    },
    {
      provide: FireTicks,
      useFactory: (
        store: EventStore,
        clock: Clock,
        progress: Progress,
        organisations: Organisations,
        database: DataSource,
      ) =>
        new FireTicks({
          store,
          clock,
          progress,
          isArchived: (orgId) => organisations.isArchived(orgId),
          current: (key) => scheduledWork<NextTick>(database, TICKS, key),
        }),
      inject: [EventStore, Clock, Progress, Organisations, DataSource],
    },
    {
      provide: WorkflowFiles,
      useFactory: (
        store: EventStore,
        clock: Clock,
        { workflowsDir: folder }: Settings,
        library: StepLibrary,
        table: WorkflowTable,
        progress: Progress,
        organisations: OrganisationTable,
        vocabulary: VocabularyTable,
        log: Log,
      ) => new WorkflowFiles({ folder, organisations, store, clock, progress, library, table, vocabulary, log }),
      inject: [
        EventStore,
        Clock,
        Settings,
        StepLibrary,
        WorkflowTable,
        Progress,
        OrganisationTable,
        VocabularyTable,
        LOG,
      ],
    },
  ],
  exports: [
    WorkflowProjection,
    RunProjection,
    StartRuns,
    AnswerWaits,
    ApprovalProjection,
    TriggerDecisionProjection,
    CloseChildren,
    BulkRetryProjection,
    RetryRuns,
    ScheduleTicks,
    WorkflowTable,
    Cancellations,
    AdvanceRun,
    EndConflicts,
    EndGroups,
    FireTicks,
    WorkflowFiles,
  ],
})
export class WorkflowsModule {}
