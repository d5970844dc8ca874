import { type DynamicModule, type INestApplicationContext, Module, type Type } from '@nestjs/common';

import { AccessModule } from '#libs/access/src/access.module.js';
import { ForgetSecrets } from '#libs/access/src/named-secrets/forget-secrets.subscriber.js';
import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OrganisationTable } from '#libs/access/src/organisation/organisation.table.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { ActionWorkers } from '#libs/actions/src/plugins/action-workers.js';
import { ConnectionTable } from '#libs/actions/src/connections/connection.table.js';
import { MessageProjection } from '#libs/actions/src/messages/message.projection.js';
import { MessageView } from '#libs/actions/src/messages/message.view.js';
import { SendMessage } from '#libs/actions/src/messages/send-message.worker.js';
import { TrackIssue } from '#libs/actions/src/trackers/track-issue.worker.js';
import { ActionsModule } from '#libs/actions/src/actions.module.js';
import { ScheduleActions } from '#libs/actions/src/attempts/schedule.subscriber.js';
import { AgentProjection } from '#libs/agents/src/agent/agent.projection.js';
import { AgentView } from '#libs/agents/src/agent/agent.view.js';
import { AgentsModule } from '#libs/agents/src/agents.module.js';
import { ExecutionProjection } from '#libs/agents/src/execution/execution.projection.js';
import { ExecutionLinkView, ExecutionView } from '#libs/agents/src/execution/execution.view.js';
import { FollowRuns } from '#libs/agents/src/execution/follow-runs.subscriber.js';
import { RunExecution } from '#libs/agents/src/execution/run-execution.worker.js';
import { StoppedExecutions } from '#libs/agents/src/execution/stopped-executions.js';
import { RequestAgents } from '#libs/agents/src/execution/webhook.subscriber.js';
import { AsOfModule } from '#libs/audit/src/as-of/as-of.module.js';
import { AuditModule } from '#libs/audit/src/audit.module.js';
import { PendingActions } from '#libs/audit/src/pending-action.projection.js';
import { ReplayModule } from '#libs/audit/src/replay/replay.module.js';
import { ReplayProjection } from '#libs/audit/src/replay/replay.projection.js';
import { ReplayView } from '#libs/audit/src/replay/replay.view.js';
import { RunReplay } from '#libs/audit/src/replay/run-replay.worker.js';
import { ProjectionsModule } from '#libs/audit/src/projections/projections.module.js';
import { RebuildProjection } from '#libs/audit/src/projections/rebuild.projection.js';
import { RebuildRows } from '#libs/audit/src/projections/rebuild-rows.worker.js';
import { RebuildView } from '#libs/persistence/src/rebuild/rebuild.view.js';
import { ForgetRefused } from '#libs/intake/src/refused/forget-refused.subscriber.js';
import { RefusedRequestView } from '#libs/intake/src/refused/refused.view.js';
import { SealLog } from '#libs/audit/src/proof/seal-log.subscriber.js';
import { Retain } from '#libs/audit/src/retention/retain.subscriber.js';
import { RetentionModule } from '#libs/audit/src/retention/retention.module.js';
import { TruncateLog } from '#libs/audit/src/retention/truncate-log.worker.js';
import { EventViewTable } from '#libs/audit/src/views/event-view.table.js';
import { SealTree } from '#libs/audit/src/proof/seal-tree.worker.js';
import { WitnessTree } from '#libs/audit/src/proof/witness-tree.worker.js';
import { DeliveriesModule } from '#libs/deliveries/src/deliveries.module.js';
import { ScheduleDeliveries } from '#libs/deliveries/src/delivery/delivery.subscriber.js';
import { DeliveryView } from '#libs/deliveries/src/delivery/delivery.view.js';
import { AttemptDelivery } from '#libs/deliveries/src/sending/attempt-delivery.worker.js';
import { ReleaseAttempts } from '#libs/deliveries/src/sending/release-attempts.worker.js';
import { WebhookProjection } from '#libs/deliveries/src/webhook/webhook.projection.js';
import { WebhookTable } from '#libs/deliveries/src/webhook/webhook.table.js';
import { WebhookHealthView, WebhookView } from '#libs/deliveries/src/webhook/webhook.view.js';
import { EventIndex } from '#libs/event-index/src/event-index.projection.js';
import { EventTypesModule } from '#libs/event-types/src/event-types.module.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import type { Subscriber, Table } from '#libs/event-store/src/subscriber.js';
import { AgentReceivers } from '#libs/intake/src/agent-webhook/agent-receivers.js';
import { IntakeModule } from '#libs/intake/src/intake.module.js';
import { AwaitingWorkflows } from '#libs/intake/src/workflow-webhook/awaiting-workflows.js';
import { MakeWorkflowIntegrations } from '#libs/intake/src/workflow-webhook/workflow-integrations.subscriber.js';
import { IntegrationProjection } from '#libs/intake/src/integration/integration.projection.js';
import { IntegrationTable } from '#libs/intake/src/integration/integration.table.js';
import { OwnChanges } from '#libs/intake/src/integration/own-changes.table.js';
import { IntegrationCounterView, IntegrationView } from '#libs/intake/src/integration/integration.view.js';
import { ReconcileIntegrations } from '#libs/intake/src/reconcile/reconcile.js';
import { ScheduleReconciliations } from '#libs/intake/src/reconcile/reconcile.subscriber.js';
import { TellSilence } from '#libs/intake/src/silence/silence.js';
import { WatchSilence } from '#libs/intake/src/silence/silence.subscriber.js';
import { IssueProjection } from '#libs/issues/src/issue.projection.js';
import { IssueCommentView, IssueView } from '#libs/issues/src/issue.view.js';
import { IssuesModule } from '#libs/issues/src/issues.module.js';
import { OpenIssues } from '#libs/issues/src/open.subscriber.js';
import type { Worker } from '#libs/persistence/src/claims/work.js';
import { DecideRules } from '#libs/rules/src/decisions/decide.subscriber.js';
import { DecisionProjection } from '#libs/rules/src/decisions/decision.projection.js';
import { ActionRefusalView, DecisionView } from '#libs/rules/src/decisions/decision.view.js';
import { EndBursts } from '#libs/rules/src/flow/end-bursts.worker.js';
import { RuleProjection } from '#libs/rules/src/rule/rule.projection.js';
import { RuleVersionView, RuleView } from '#libs/rules/src/rule/rule.view.js';
import { RulesModule } from '#libs/rules/src/rules.module.js';
import { PrivacyModule } from '#libs/privacy/src/privacy.module.js';
import { EraseSubjects } from '#libs/privacy/src/subjects/erase-subjects.subscriber.js';
import { ErasedSubjects } from '#libs/privacy/src/subjects/erased-subjects.table.js';
import { VocabularyModule } from '#libs/vocabulary/src/vocabulary.module.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';
import { AdvanceRun } from '#libs/workflows/src/run/advance-run.worker.js';
import { Cancellations } from '#libs/workflows/src/run/cancellations.js';
import { EndConflicts } from '#libs/workflows/src/run/turns/end-conflicts.worker.js';
import { BulkRetryProjection } from '#libs/workflows/src/run/bulk/bulk-retry.projection.js';
import { BulkRetryView } from '#libs/workflows/src/run/bulk/bulk-retry.view.js';
import { RetryRuns } from '#libs/workflows/src/run/bulk/retry-runs.worker.js';
import { RunProjection } from '#libs/workflows/src/run/run.projection.js';
import { EndGroups } from '#libs/workflows/src/decisions/flow/end-groups.worker.js';
import { TriggerDecisionProjection } from '#libs/workflows/src/decisions/trigger-decision.projection.js';
import { TriggerDecisionView } from '#libs/workflows/src/decisions/trigger-decision.view.js';
import { RunView } from '#libs/workflows/src/run/run.view.js';
import { CloseChildren } from '#libs/workflows/src/run/children.subscriber.js';
import { StartRuns } from '#libs/workflows/src/run/start.subscriber.js';
import { FireTicks } from '#libs/workflows/src/schedule/fire-ticks.worker.js';
import { ScheduleTicks } from '#libs/workflows/src/schedule/schedule.subscriber.js';
import { ApprovalProjection } from '#libs/workflows/src/approvals/approval.projection.js';
import { ApprovalView } from '#libs/workflows/src/approvals/approval.view.js';
import { AnswerWaits } from '#libs/workflows/src/waits/answer-waits.subscriber.js';
import { WorkflowProjection } from '#libs/workflows/src/workflow/workflow.projection.js';
import { WorkflowTable } from '#libs/workflows/src/workflow/workflow.table.js';
import { WorkflowVersionView, WorkflowView } from '#libs/workflows/src/workflow/workflow.view.js';
import { WorkflowsModule } from '#libs/workflows/src/workflows.module.js';

import { type Core, CoreModule } from './core.module.js';
import { RETAINABLES } from './retainables.js';
import { PastModule } from './past.module.js';

/** THE WHOLE SYSTEM ON ONE PAGE: who answers requests, who follows the log, who does the work. */

/** Controllers and command handlers, by stage. */
const STAGES: readonly Type[] = [
  AccessModule,
  PrivacyModule,
  EventTypesModule,
  VocabularyModule,
  IntakeModule,
  RulesModule,
  ActionsModule,
  WorkflowsModule,
  DeliveriesModule,
  AgentsModule,
  IssuesModule,
  AuditModule,
  AsOfModule,
  ReplayModule,
  ProjectionsModule,
];

/** One instance of each is active over all processes. */
const SUBSCRIBERS: readonly Type<Subscriber>[] = [
  ForgetSecrets,
  EraseSubjects,
  IntegrationProjection,
  MakeWorkflowIntegrations,
  WatchSilence,
  ScheduleReconciliations,
  DecideRules,
  RuleProjection,
  DecisionProjection,
  ScheduleActions,
  MessageProjection,
  StartRuns,
  AnswerWaits,
  ApprovalProjection,
  TriggerDecisionProjection,
  CloseChildren,
  RunProjection,
  BulkRetryProjection,
  WorkflowProjection,
  ScheduleTicks,
  ScheduleDeliveries,
  WebhookProjection,
  RequestAgents,
  AgentProjection,
  ExecutionProjection,
  FollowRuns,
  OpenIssues,
  IssueProjection,
  EventIndex,
  PendingActions,
  SealLog,
  ForgetRefused,
  ReplayProjection,
  Retain,
  RebuildProjection,
];

/** In memory, in every process. */
const TABLES: readonly Type<Table>[] = [
  Quarantine,
  EventViewTable,
  OrganisationTable,
  TokenTable,
  ErasedSubjects,
  NamedSecretTable,
  OwnTypeTable,
  VocabularyTable,
  IntegrationTable,
  OwnChanges,
  AgentReceivers,
  AwaitingWorkflows,
  WorkflowTable,
  Cancellations,
  StoppedExecutions,
  WebhookTable,
  ConnectionTable,
];

/** Claimed work, in every process with the worker role; beside these, one for each action of a plug-in. */
const WORKERS: readonly Type<Worker>[] = [
  AdvanceRun,
  EndConflicts,
  RetryRuns,
  EndGroups,
  FireTicks,
  AttemptDelivery,
  ReleaseAttempts,
  RunExecution,
  TellSilence,
  ReconcileIntegrations,
  EndBursts,
  SendMessage,
  TrackIssue,
  SealTree,
  WitnessTree,
  RunReplay,
  TruncateLog,
  RebuildRows,
];

/** Rows that TypeORM reads. */
export const VIEWS: readonly Type[] = [
  IntegrationView,
  IntegrationCounterView,
  RefusedRequestView,
  RuleView,
  RuleVersionView,
  DecisionView,
  ActionRefusalView,
  WorkflowView,
  WorkflowVersionView,
  RunView,
  TriggerDecisionView,
  BulkRetryView,
  ApprovalView,
  WebhookView,
  WebhookHealthView,
  DeliveryView,
  AgentView,
  ExecutionView,
  ExecutionLinkView,
  IssueView,
  IssueCommentView,
  ReplayView,
  MessageView,
  RebuildView,
];

@Module({})
export class AppModule {
  static with(core: Core): DynamicModule {
    return {
      module: AppModule,
      imports: [CoreModule.with(core), PastModule, RetentionModule.with(RETAINABLES), ...STAGES],
    };
  }
}

export interface Parts {
  readonly subscribers: readonly Subscriber[];
  readonly tables: readonly Table[];
  readonly workers: readonly Worker[];
}

/** The instances, as the application has put them together. */
export const partsOf = (application: INestApplicationContext): Parts => {
  const made = <T>(types: readonly Type<T>[]): readonly T[] =>
    types.map((type) => application.get(type, { strict: false }));
  const workers = [...made(WORKERS), ...application.get(ActionWorkers, { strict: false }).all];
  return { subscribers: made(SUBSCRIBERS), tables: made(TABLES), workers };
};
