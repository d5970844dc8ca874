import { distanceOf, type NoVerdictReason, type SeenEvent, unfitPart } from '#libs/event-index/src/nearness.js';
import { globMatcher, typeMatcher } from '#libs/events/src/patterns.js';

/** As much of a rule as says which events it looks at. */
export interface RuleFilter {
  readonly id: string;
  readonly name: string;
  readonly status: 'enabled' | 'disabled';
  readonly eventSource: string;
  readonly eventType: string;
  readonly createdAt: Date;
}

export interface NearRule {
  readonly ruleId: string;
  readonly ruleName: string;
  readonly reason: NoVerdictReason;
  readonly eventSource: string;
  readonly eventType: string;
}

/** Those rules without a verdict that came nearest to looking at the event, the nearest first, at most `most`. */
export function nearestRules(event: SeenEvent, rules: readonly RuleFilter[], most: number): readonly NearRule[] {
  return rules
    .map((rule) => ({ rule, reason: reasonOf(rule, event) }))
    .map(({ rule, reason }) => ({ rule, reason, distance: distanceOf(reason, [rule.eventType], event) }))
    .sort((one, two) => one.distance - two.distance || (one.rule.name < two.rule.name ? -1 : 1))
    .slice(0, most)
    .map(({ rule, reason }) => ({
      ruleId: rule.id,
      ruleName: rule.name,
      reason,
      eventSource: rule.eventSource,
      eventType: rule.eventType,
    }));
}

function reasonOf({ eventSource, eventType, status, createdAt }: RuleFilter, event: SeenEvent): NoVerdictReason {
  const unfit = unfitPart(typeMatcher([eventType])(event.type), globMatcher(eventSource)(event.source));
  if (unfit) return unfit;
  if (createdAt > event.recordedAt) return 'created_later';
  return status === 'disabled' ? 'disabled' : 'changed_later';
}
