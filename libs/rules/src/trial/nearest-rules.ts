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

/**
 * Why a rule has no verdict on an event: it does not name its `source`, its `type` or `both`; or it does, but is `disabled`,
 * was `created_later`, or was `changed_later` (enabled, or saved with another filter).
 */
export type NoVerdictReason = 'source' | 'type' | 'both' | 'disabled' | 'created_later' | 'changed_later';

export interface NearRule {
  readonly ruleId: string;
  readonly ruleName: string;
  readonly reason: NoVerdictReason;
  readonly eventSource: string;
  readonly eventType: string;
}

export interface SeenEvent {
  readonly type: string;
  readonly source: string;
  readonly recordedAt: Date;
}

/** Those rules without a verdict that came nearest to looking at the event, the nearest first, at most `most`. */
export function nearestRules(event: SeenEvent, rules: readonly RuleFilter[], most: number): readonly NearRule[] {
  return rules
    .map((rule) => ({ rule, reason: reasonOf(rule, event) }))
    .map(({ rule, reason }) => ({ rule, reason, distance: distanceOf(rule, reason, event) }))
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
  const ofType = typeMatcher([eventType])(event.type);
  const ofSource = globMatcher(eventSource)(event.source);
  if (!ofType) return ofSource ? 'type' : 'both';
  if (!ofSource) return 'source';
  if (createdAt > event.recordedAt) return 'created_later';
  return status === 'disabled' ? 'disabled' : 'changed_later';
}

const DISTANCES: Readonly<Record<NoVerdictReason, number>> = {
  disabled: 0,
  changed_later: 1,
  created_later: 2,
  source: 3,
  type: 4,
  both: 8,
};

/** Among those of another type, the ones of the same family (`git.push` and `git.tag_pushed`) are nearer. */
function distanceOf({ eventType }: RuleFilter, reason: NoVerdictReason, { type }: SeenEvent): number {
  const isKin = eventType.split('.')[0] === type.split('.')[0];
  return DISTANCES[reason] + ((reason === 'type' || reason === 'both') && !isKin ? 1 : 0);
}
