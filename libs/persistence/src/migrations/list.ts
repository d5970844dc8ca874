import { Core } from './0001-core.js';
import { Intake } from './0002-intake.js';
import { Rules } from './0003-rules.js';
import { Workflows } from './0004-workflows.js';
import { Deliveries } from './0005-deliveries.js';
import { Issues } from './0006-issues.js';
import { Audit } from './0007-audit.js';
import { Silence } from './0008-silence.js';
import { Decisions } from './0010-decisions.js';
import { Reconcile } from './0011-reconcile.js';
import { Agents } from './0012-agents.js';
import { PendingActions } from './0013-pending-actions.js';
import { Bursts } from './0015-bursts.js';
import { OpenSince } from './0016-open-since.js';
import { RuleCount } from './0018-rule-count.js';
import { WebhookSettings } from './0019-webhook-settings.js';
import { ActionRefusals } from './0020-action-refusals.js';
import { ExactJson } from './0021-exact-json.js';
import { Installation } from './0022-installation.js';
import { RunWaits } from './0026-run-waits.js';
import { ReceivedAt } from './0027-received-at.js';
import { RunTurns } from './0028-run-turns.js';
import { Approvals } from './0029-approvals.js';
import { RunChildren } from './0031-run-children.js';
import { ListIndexes } from './0034-list-indexes.js';
import { TriggerDecisions } from './0037-trigger-decisions.js';
import { TriggerFlow } from './0038-trigger-flow.js';
import { RunFilters } from './0039-run-filters.js';
import { Crashes } from './0040-crashes.js';
import { Executions } from './0042-executions.js';
import { DeliverySecrets } from './0035-delivery-secrets.js';
import { RunSnapshots } from './0066-run-snapshots.js';
import { Rebuilds } from './0082-rebuilds.js';
import { WaitKeys } from './0070-wait-keys.js';
import { SubjectKeys } from './0085-subject-keys.js';
import { ReplayDifferences } from './0080-replay-differences.js';
import { Replays } from './0079-replays.js';
import { RetentionMarks } from './0089-retention.js';
import { LogTrees } from './0065-log-trees.js';
import { TokenUses } from './0046-token-uses.js';
import { ActionFailures } from './0050-action-failures.js';
import { PacedAttempts } from './0053-paced-attempts.js';
import { WebhookHealth } from './0054-webhook-health.js';
import { AgentRates } from './0056-agent-rates.js';
import { Messages } from './0076-messages.js';
import { RefusedRequests } from './0093-refused-requests.js';

/** In order. A released migration is never edited: add one. The digits that end a migration's name are its number. */
export const migrations = [
  Core,
  Intake,
  Rules,
  Workflows,
  Deliveries,
  Issues,
  Audit,
  Silence,
  Decisions,
  Reconcile,
  Agents,
  PendingActions,
  Bursts,
  OpenSince,
  RuleCount,
  WebhookSettings,
  ActionRefusals,
  ExactJson,
  Installation,
  RunWaits,
  ReceivedAt,
  RunTurns,
  Approvals,
  RunChildren,
  ListIndexes,
  TriggerDecisions,
  TriggerFlow,
  RunFilters,
  Crashes,
  Executions,
  DeliverySecrets,
  TokenUses,
  ActionFailures,
  LogTrees,
  PacedAttempts,
  WebhookHealth,
  AgentRates,
  RunSnapshots,
  Rebuilds,
  WaitKeys,
  SubjectKeys,
  Replays,
  Messages,
  ReplayDifferences,
  RetentionMarks,
  RefusedRequests,
];
