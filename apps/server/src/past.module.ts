import { Global, Module } from '@nestjs/common';

import { pastAccess } from '#libs/access/src/past-kinds.js';
import { pastAgents } from '#libs/agents/src/agent/past-agents.js';
import { pastWebhooks } from '#libs/deliveries/src/webhook/past-webhooks.js';
import { type PastKind, PastKinds } from '#libs/event-store/src/past-kind.js';
import { pastTypes } from '#libs/event-types/src/past-types.js';
import { pastIntegrations } from '#libs/intake/src/integration/past-integrations.js';
import { pastIssues } from '#libs/issues/src/past-issues.js';
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

/** The kinds of things of all stages, for the stage that shows their past. */
@Global()
@Module({
  providers: [{ provide: PastKinds, useValue: new PastKinds(PAST) }],
  exports: [PastKinds],
})
export class PastModule {}
