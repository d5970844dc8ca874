/**
 * Types that tell what rules and triggers made of other events. There may be one for each event of the log, so a reader
 * must not record in turn what it made of each.
 */
export const VERDICT_TYPES = [
  'rule.evaluated',
  'rule.none_matched',
  'rule.burst_ended',
  'trigger.evaluated',
  'action.refused',
] as const;
