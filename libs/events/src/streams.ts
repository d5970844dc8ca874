import { type Uuid, uuid5 } from '#libs/kernel/src/ids.js';

/**
 * Names of streams. A stream whose name is derived from its cause is an idempotency key: the second try to open it
 * loses the race and is an ordinary "already done".
 */
export const streams = {
  /** One per provider delivery: `inbound-{integration uuid5 of delivery}`. */
  inbound: (integrationId: string, deliveryId: string) => `inbound-${uuid5('inbound', integrationId, deliveryId)}`,
  /** Events published through the API. */
  published: (orgId: string, key: string) => `published-${uuid5('published', orgId, key)}`,
  /** Verdicts of all rules on one event, with the actions they asked for: one append, all or nothing. */
  decisions: (event: Uuid) => `decisions-${event}`,
  /** That a burst of matches of a rule ended with this event: once. */
  burst: (ruleId: string, last: Uuid) => `burst-${uuid5('burst', ruleId, last)}`,
  /** What a rule that waited for the end of a burst decided about its last event. */
  afterBurst: (ruleId: string, last: Uuid) => `decisions-${uuid5('after-burst', ruleId, last)}`,
  /** Verdicts on the events of a stretch of the log by which no rule asked for anything. */
  verdicts: (orgId: string, stretch: bigint) => `verdicts-${orgId}-${stretch}`,
  /** A set of rules, by its name. */
  ruleSet: (name: string) => `ruleset-${name}`,
  integration: (id: string) => `integration-${id}`,
  /** When an integration fell silent and was heard of again: even revisions and odd ones. */
  watch: (integrationId: string) => `watch-${integrationId}`,
  /** What became of asking the sender for what it has delivered. */
  reconciled: (integrationId: string) => `reconciled-${integrationId}`,
  agent: (id: string) => `agent-${id}`,
  execution: (id: string) => `execution-${id}`,
  /** That an execution was cancelled: once. */
  cancelled: (executionId: string) => `cancelled-${executionId}`,
  rule: (id: string) => `rule-${id}`,
  workflow: (id: string) => `workflow-${id}`,
  run: (id: string) => `run-${id}`,
  webhook: (id: string) => `webhook-${id}`,
  /** One per delivery (one event to one webhook); revisions 2n and 2n + 1 hold attempt n + 1 and its outcome. */
  delivery: (id: string) => `delivery-${id}`,
  /** A redelivery asked for by hand, by the id of the new delivery. */
  redelivery: (id: string) => `redelivery-${id}`,
  /** What a subscriber did not carry out, by the event that asked for it. */
  refused: (subscriber: string, event: Uuid) => `refused-${uuid5('refused', subscriber, event)}`,
  /** What became of a request for an action of a plug-in: revision n holds the outcome of attempt n + 1. */
  action: (request: Uuid) => `action-${request}`,
  issue: (id: string) => `issue-${id}`,
  token: (id: string) => `token-${id}`,
  organisation: (id: string) => `organisation-${id}`,
  parked: (subscriber: string) => `parked-${subscriber}`,
} as const;
