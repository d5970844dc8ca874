import { Global, Module, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';

import { pastAccess } from '#libs/access/src/past-kinds.js';
import { pastAgents } from '#libs/agents/src/agent/past-agents.js';
import { pastWebhooks } from '#libs/deliveries/src/webhook/past-webhooks.js';
import { type Projection, Projections } from '#libs/event-store/src/subscriber.js';
import { type PastKind, PastKinds } from '#libs/event-store/src/past-kind.js';
import { pastTypes } from '#libs/event-types/src/past-types.js';
import { pastIntegrations } from '#libs/intake/src/integration/past-integrations.js';
import { pastIssues } from '#libs/issues/src/past-issues.js';
import { EventIndex } from '#libs/event-index/src/event-index.projection.js';
import { IntegrationProjection } from '#libs/intake/src/integration/integration.projection.js';
import { RuleProjection } from '#libs/rules/src/rule/rule.projection.js';
import { DecisionProjection } from '#libs/rules/src/decisions/decision.projection.js';
import { WorkflowProjection } from '#libs/workflows/src/workflow/workflow.projection.js';
import { TriggerDecisionProjection } from '#libs/workflows/src/decisions/trigger-decision.projection.js';
import { ApprovalProjection } from '#libs/workflows/src/approvals/approval.projection.js';
import { WebhookProjection } from '#libs/deliveries/src/webhook/webhook.projection.js';
import { AgentProjection } from '#libs/agents/src/agent/agent.projection.js';
import { IssueProjection } from '#libs/issues/src/issue.projection.js';
import { PendingActions } from '#libs/audit/src/pending-action.projection.js';
import { pastRules } from '#libs/rules/src/rule/past-rules.js';
import { pastWorkflows } from '#libs/workflows/src/workflow/past-workflows.js';

/** What can be asked for as it was. */
export const PAST: readonly PastKind[] = [
  pastRules,
  pastWorkflows,
  pastWebhooks,
  pastIntegrations,
  pastAgents,
  ...pastAccess,
  pastTypes,
  pastIssues,
];

/** Subscribers whose rows can be rebuilt from the log. */
const PROJECTIONS: readonly Type<Projection>[] = [
  EventIndex,
  IntegrationProjection,
  RuleProjection,
  DecisionProjection,
  WorkflowProjection,
  TriggerDecisionProjection,
  ApprovalProjection,
  WebhookProjection,
  AgentProjection,
  IssueProjection,
  PendingActions,
];

/** The kinds of things and the projections of all stages, for the stage that shows their past and rebuilds them. */
@Global()
@Module({
  providers: [
    { provide: PastKinds, useValue: new PastKinds(PAST) },
    {
      provide: Projections,
      // When they are asked for: the stages are put together then.
      useFactory: (found: ModuleRef): Projections => ({
        get all() {
          return PROJECTIONS.map((type) => found.get(type, { strict: false }));
        },
      }),
      inject: [ModuleRef],
    },
  ],
  exports: [PastKinds, Projections],
})
export class PastModule {}
