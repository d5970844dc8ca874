/**
 * Names of everything that follows the log: subscribers, each the key of its checkpoint, and tables in memory. A name never
 * changes: a subscriber with another one begins again at the start of the log. They stand in one place since others wait for
 * them, across stages too, and whoever waits for a name that nobody has waits in vain.
 */
export const followers = {
  tokens: 'access.tokens',
  scheduleActions: 'actions.schedule',
  requestAgents: 'agents.request',
  agentViews: 'agents.views',
  eventIndex: 'audit.events',
  pendingActions: 'audit.pending-actions',
  scheduleDeliveries: 'deliveries.schedule',
  webhooks: 'deliveries.webhooks',
  webhookViews: 'deliveries.webhook-views',
  agentReceivers: 'intake.agents',
  integrations: 'intake.integrations',
  integrationViews: 'intake.list',
  reconcilable: 'intake.reconcilable',
  scheduleReconciliations: 'intake.reconcile',
  watchSilence: 'intake.silence',
  watched: 'intake.watched',
  openIssues: 'issues.open',
  issueViews: 'issues.views',
  decideRules: 'rules.decide',
  decisionViews: 'rules.decisions',
  rules: 'rules.table',
  ruleViews: 'rules.views',
  answerWaits: 'workflows.answers',
  approvalViews: 'workflows.approvals',
  cancellations: 'workflows.cancellations',
  closeChildren: 'workflows.children',
  runViews: 'workflows.runs',
  schedules: 'workflows.schedules',
  workflows: 'workflows.table',
  startRuns: 'workflows.trigger',
  waits: 'workflows.waits',
  workflowViews: 'workflows.views',
} as const;
