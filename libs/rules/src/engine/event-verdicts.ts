import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { CompiledRule } from './compiled-rule.js';
import type { FailureGroup } from './failed-rules.js';
import type { RuleVerdict } from './evaluate-rule.js';
import { type FormedSet, rangesOf } from './rule-set.js';

/** A failure that rules share: the same place in the rule, the same value seen. */
export interface SharedFailure {
  readonly pointer: string;
  readonly actual: unknown;
  /** Sets, by place, whose members failed so unless they are named elsewhere. */
  readonly whole: number[];
  /** Members by the place of their set. */
  readonly some: Map<number, number[]>;
}

/** A rule that matched, or that could not be asked. */
export interface Decided {
  readonly rule: CompiledRule;
  readonly verdict: Exclude<RuleVerdict, { outcome: 'not_matched' }>;
  /** Place of its set. */
  readonly set: number;
}

/** What all rules that look at an event made of it. A change of a rule does not reach what was answered before. */
export class EventVerdicts {
  constructor(
    readonly sets: readonly FormedSet[],
    private readonly failures: readonly SharedFailure[],
    /** In the order of the rules' creation. */
    readonly decided: readonly Decided[],
  ) {}

  get hasMatch(): boolean {
    return this.decided.some(({ verdict }) => verdict.outcome === 'matched');
  }

  /** The rules that did not match, as they are recorded. */
  get failed(): readonly FailureGroup[] {
    return this.failures
      .filter(({ whole, some }) => whole.length > 0 || some.size > 0)
      .map(({ pointer, actual, whole, some }) => ({
        pointer,
        actual,
        ...(whole.length > 0 && { sets: whole }),
        ...(some.size > 0 && {
          rules: [...some].map(([set, slots]): [number, string] => [set, rangesOf(slots.sort((a, b) => a - b))]),
        }),
      }));
  }

  /** As several, each about some of the sets and small enough for one record. */
  parts(mostWeight: number): readonly EventVerdicts[] {
    if (this.sets.length <= 1 || this.weight <= mostWeight) return [this];
    const middle = this.sets.length >> 1;
    return [...this.slice(0, middle).parts(mostWeight), ...this.slice(middle, this.sets.length).parts(mostWeight)];
  }

  private slice(from: number, to: number): EventVerdicts {
    const within = (set: number): boolean => set >= from && set < to;
    return new EventVerdicts(
      this.sets.slice(from, to),
      this.failures.map(({ pointer, actual, whole, some }) => ({
        pointer,
        actual,
        whole: whole.filter(within).map((set) => set - from),
        some: new Map([...some].filter(([set]) => within(set)).map(([set, slots]) => [set - from, slots])),
      })),
      this.decided.filter(({ set }) => within(set)).map((one) => ({ ...one, set: one.set - from })),
    );
  }

  /** Bytes when written, roughly and rather too many. */
  get weight(): number {
    let bytes = 40 * this.sets.length;
    for (const { pointer, actual, whole, some } of this.failures)
      if (whole.length > 0 || some.size > 0) {
        bytes += pointer.length + Buffer.byteLength(stringifyJson(actual)) + 50 + 5 * whole.length;
        for (const slots of some.values()) bytes += 10 + 4 * slots.length;
      }
    for (const { rule, verdict } of this.decided)
      bytes +=
        verdict.outcome === 'errored'
          ? 400 + verdict.error.length
          : 200 + 3 * rule.name.length + 150 * rule.compiled.actions.length;
    return bytes;
  }
}
