import type { DataSource } from 'typeorm';

import type {
  DecisionQuery,
  DecisionSource,
  DecisionSources,
  KeyedDecision,
} from '#libs/event-index/src/decision-sources.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { RuleDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';

import { decisionsOfRule, decisionsOnEvent, type RuleQuery, type ShownDecision } from './decision-lists.adapter.js';

/** Actions that wait for what they name. */
const WAITS: ReadonlySet<string> = new Set(['dispatch_agent']);

/** Decisions of rules, from the views. */
export class RuleDecisions implements DecisionSource {
  constructor(
    private readonly database: DataSource,
    private readonly progress: Progress,
    private readonly sources: DecisionSources,
  ) {
    sources.add(this);
  }

  async decisionsOn(query: DecisionQuery, limit: number): Promise<readonly KeyedDecision[]> {
    const found = await decisionsOnEvent(this.database, query, limit, this.versions);
    const shown = await this.withWaiting(query.orgId, found.map(answerOf));
    return shown.map((decision) => ({ key: decision.ruleId, shown: decision }));
  }

  ofRule(query: RuleQuery, limit: number): ReturnType<typeof decisionsOfRule> {
    return decisionsOfRule(this.database, query, limit, this.versions);
  }

  /** With what their requests wait for, where that does not exist. */
  async withWaiting(orgId: string, decisions: readonly RuleDecisionAnswer[]): Promise<readonly RuleDecisionAnswer[]> {
    const open = decisions.flatMap(({ actions }) =>
      actions.flatMap(({ type, requestId, detail }) => (WAITS.has(type) && detail === undefined ? [requestId] : [])),
    );
    const waiting = await this.sources.waitingRequests(orgId, open);
    if (waiting.size === 0) return decisions;
    return decisions.map((decision) => ({
      ...decision,
      actions: decision.actions.map((action) => ({ ...action, ...waiting.get(action.requestId) })),
    }));
  }

  private readonly versions = (position: bigint): Promise<void> =>
    this.progress.whenProcessed(followers.ruleViews, position);
}

export const answerOf = ({ actions, ...decision }: ShownDecision): RuleDecisionAnswer => ({
  kind: 'rule',
  ...decision,
  actions: [...actions],
});
