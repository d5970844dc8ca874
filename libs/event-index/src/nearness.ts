/**
 * Why a rule or trigger has no decision on an event: it does not name its `source`, its `type` or `both`; or it does, but is
 * `disabled`, was `created_later`, or was `changed_later` (enabled, or saved with another filter).
 */
export type NoVerdictReason = 'source' | 'type' | 'both' | 'disabled' | 'created_later' | 'changed_later';

export interface SeenEvent {
  readonly type: string;
  readonly source: string;
  readonly recordedAt: Date;
}

const DISTANCES: Readonly<Record<NoVerdictReason, number>> = {
  disabled: 0,
  changed_later: 1,
  created_later: 2,
  source: 3,
  type: 4,
  both: 8,
};

/** Which part of a filter does not fit the event, if one does not. */
export const unfitPart = (isOfType: boolean, isOfSource: boolean): 'source' | 'type' | 'both' | undefined =>
  isOfType ? (isOfSource ? undefined : 'source') : isOfSource ? 'type' : 'both';

/**
 * How far a filter is from an event. Among those of another type, the ones of the same family (`git.push` and `git.tag_pushed`)
 * are nearer.
 * @param types that it names.
 */
export function distanceOf(reason: NoVerdictReason, types: readonly string[], { type }: SeenEvent): number {
  const isKin = types.some((one) => one.split('.')[0] === type.split('.')[0]);
  return DISTANCES[reason] + ((reason === 'type' || reason === 'both') && !isKin ? 1 : 0);
}
