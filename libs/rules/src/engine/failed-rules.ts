import type { Static } from '@sinclair/typebox';

import type { FailureGroup as Schema } from '#libs/events/src/types/rule.events.js';

import { type RuleVersion, slotsOf } from './rule-set.js';

/** Rules that did not match for one reason, as they are recorded. */
export type FailureGroup = Static<typeof Schema>;

/** One rule that did not match: the rest is in its version. */
export interface FailedRule {
  readonly ruleId: string;
  readonly version: number;
  readonly pointer: string;
  readonly actual: unknown;
}

/**
 * The rules that did not match, one by one, set by set.
 * @param asked rules of the sets that were evaluated, in the order of the record.
 * @param decided rules of theirs that are recorded by themselves.
 */
export function failedRulesOf(
  asked: readonly (readonly RuleVersion[])[],
  failed: readonly FailureGroup[],
  decided: ReadonlySet<string>,
): readonly FailedRule[] {
  const named = asked.map(() => new Map<number, FailureGroup>());
  const whole = new Map<number, FailureGroup>();
  for (const failure of failed) {
    for (const set of failure.sets ?? []) whole.set(set, failure);
    for (const [set, ranges] of failure.rules ?? []) for (const slot of slotsOf(ranges)) named[set]?.set(slot, failure);
  }
  return asked.flatMap((rules, set) =>
    rules.flatMap(([ruleId, version], slot) => {
      const failure = decided.has(ruleId) ? undefined : (named[set]!.get(slot) ?? whole.get(set));
      return failure ? [{ ruleId, version, pointer: failure.pointer, actual: failure.actual }] : [];
    }),
  );
}

/** Why one rule did not match; `undefined` for one that is not among those recorded so. */
export const failureAt = (failed: readonly FailureGroup[], set: number, slot: number): FailureGroup | undefined =>
  failed.find(({ rules = [] }) => rules.some(([place, ranges]) => place === set && slotsOf(ranges).includes(slot))) ??
  failed.find(({ sets = [] }) => sets.includes(set));
