import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { valueAt } from '#libs/expressions/src/path.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { scalarKey, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Probe } from '../language/condition.js';
import { excerpt } from '#libs/kernel/src/text/excerpt.js';
import type { CompiledRule } from './compiled-rule.js';
import { accepts, FilterGroup, type IndexedRule, type PathGroup } from './filter-group.js';
import { costOf, evaluateConditions, type RuleVerdict } from './evaluate-rule.js';
import type { FormedSet } from './rule-set.js';
import { type SharedFailure, EventVerdicts } from './event-verdicts.js';

/** Most event types whose filter groups are remembered. */
const MAX_REMEMBERED = 10_000;

/**
 * The enabled rules of one organisation, arranged so that an event is not compared with each of them. Rules are in filter
 * groups by the source and type that they name, and within one in path groups by the equalities that their conditions begin
 * with. Of a path group only those rules are evaluated whose first equality holds; the verdict of the others follows from
 * the value alone, and is the one that evaluating them would give.
 *
 * A change touches one rule, its path group and its set; nothing is built again.
 */
export class RuleIndex {
  private readonly groups = new Map<string, FilterGroup>();
  private readonly members = new Map<string, IndexedRule>();
  /** Groups by event type; a new group is added, an empty one removed. */
  private readonly byType = new BoundedMap<string, FilterGroup[]>(MAX_REMEMBERED);
  private evaluated = 0;

  constructor(private readonly orgId: string) {}

  get(ruleId: string): CompiledRule | undefined {
    return this.members.get(ruleId)?.rule;
  }

  /** Adds a rule, or puts another version in its place. @param order among the rules, by their creation. */
  put(rule: CompiledRule, order: number): void {
    this.remove(rule.id);
    const { eventType, eventSource } = rule.filter;
    const key = stringifyJson([eventType, eventSource]);
    let group = this.groups.get(key);
    if (!group) {
      this.groups.set(key, (group = new FilterGroup(this.orgId, key, rule.compiled)));
      for (const [type, groups] of this.byType) if (group.matchesType(type)) groups.push(group);
    }
    this.members.set(rule.id, group.add(rule, order));
  }

  remove(ruleId: string): void {
    const member = this.members.get(ruleId);
    if (!member) return;
    this.members.delete(ruleId);
    const { filterGroup: group } = member.pathGroup;
    group.remove(member);
    if (group.sets.size > 0) return;
    this.groups.delete(group.key);
    for (const [type, groups] of this.byType) if (group.matchesType(type)) groups.splice(groups.indexOf(group), 1);
  }

  /** Whether any rule names this type. */
  mayMatch(type: string): boolean {
    return this.groupsFor(type).length > 0;
  }

  /** Every rule whose source and type the event has, in the order of their creation. */
  rulesFor(type: string, source: string): readonly CompiledRule[] {
    return this.groupsFor(type)
      .filter((group) => group.matchesSource(source))
      .flatMap((group) => [...group.sets].flatMap(({ members }) => members))
      .sort((one, other) => one.order - other.order)
      .map(({ rule }) => rule);
  }

  /**
   * The verdicts of all rules whose source and type the event has; `undefined` if there is none, and then the event is not
   * parsed.
   */
  evaluate(type: string, source: string, event: () => PlatformEvent): EventVerdicts | undefined {
    const groups = this.groupsFor(type).filter((group) => group.matchesSource(source));
    return groups.length === 0 ? undefined : new Evaluation(event(), ++this.evaluated).of(groups);
  }

  private groupsFor(type: string): readonly FilterGroup[] {
    const known = this.byType.get(type);
    if (known) return known;
    const found = [...this.groups.values()].filter((group) => group.matchesType(type));
    this.byType.set(type, found);
    return found;
  }
}

/** One event, evaluated by all rules that name its type and source. */
class Evaluation {
  private readonly sets: FormedSet[] = [];
  private readonly setIndexes = new Map<unknown, number>();
  private readonly shared: SharedFailure[] = [];
  /** By pointer, and by the value seen. */
  private readonly failures = new Map<string, Map<unknown, SharedFailure>>();
  private readonly decided: { readonly member: IndexedRule; readonly verdict: Exclude<RuleVerdict, NotMatched> }[] = [];
  /** What the first equality of a path group saw: the failure of all its rules that are not evaluated. */
  private readonly missed = new Map<PathGroup, SharedFailure>();

  /** @param number tells the rules that were evaluated for this event from those that were evaluated for others. */
  constructor(
    private readonly event: PlatformEvent,
    private readonly number: number,
  ) {}

  of(groups: readonly FilterGroup[]): EventVerdicts {
    for (const group of groups) for (const set of group.sets) this.setIndexes.set(set, this.sets.push(set.formed) - 1);
    for (const group of groups) for (const pathGroup of group.pathGroups.values()) this.evaluateGroup(pathGroup);
    for (const group of groups)
      for (const set of group.sets) {
        const { main, others } = set.layout;
        const shared = main && this.missed.get(main);
        if (shared) shared.whole.push(this.setIndexes.get(set)!);
        for (const member of others) {
          const missed = member.evaluatedAt === this.number ? undefined : this.missed.get(member.pathGroup);
          if (missed) this.note(missed, member);
        }
      }
    const decided = this.decided
      .sort((one, other) => one.member.order - other.member.order)
      .map(({ member, verdict }) => ({ rule: member.rule, verdict, set: this.setIndexes.get(member.set)! }));
    return new EventVerdicts(this.sets, this.shared, decided);
  }

  private evaluateGroup(pathGroup: PathGroup): void {
    const [first, ...more] = pathGroup.tests;
    if (!first) return this.probe(pathGroup, pathGroup.members);
    const value = valueAt(first.path, this.event);
    const hits = pathGroup.byValue.get(scalarKey(value));
    if ((hits?.length ?? 0) < pathGroup.members.size)
      this.missed.set(pathGroup, this.failure(first.pointer, first.seesFalse ? false : excerpt(value)));
    if (!hits) return;
    const values = more.map(({ path }) => valueAt(path, this.event));
    const left: IndexedRule[] = [];
    for (const member of hits) {
      member.evaluatedAt = this.number;
      const failed = values.findIndex((seen, index) => !accepts(member.accepts[index + 1]!, seen));
      if (failed < 0) left.push(member);
      else {
        const { pointer, seesFalse } = more[failed]!;
        this.note(this.failure(pointer, seesFalse ? false : excerpt(values[failed])), member);
      }
    }
    this.probe(pathGroup, left);
  }

  /** Reads once what all of them test next; those for which it holds are evaluated. */
  private probe({ probe }: PathGroup, members: Iterable<IndexedRule>): void {
    if (!probe) {
      for (const member of members) this.evaluate(member);
      return;
    }
    const value = valueAt(probe.path, this.event);
    let failure: SharedFailure | undefined;
    for (const member of members)
      if (!clearlyFails(member.probe!, value, this.event)) this.evaluate(member);
      else {
        member.evaluatedAt = this.number;
        failure ??= this.failure(probe.pointer, excerpt(value));
        this.note(failure, member);
      }
  }

  private evaluate(member: IndexedRule): void {
    member.evaluatedAt = this.number;
    const { broken, compiled } = member.rule;
    const verdict: RuleVerdict =
      broken === undefined ? evaluateConditions(compiled, this.event) : { outcome: 'errored', error: broken };
    if (verdict.outcome === 'not_matched')
      this.note(this.failure(verdict.failed.pointer, verdict.failed.actual), member);
    else this.decided.push({ member, verdict });
  }

  private failure(pointer: string, actual: unknown): SharedFailure {
    // Objects are the same if their JSON is the same, and never the same as a string.
    const isObject = typeof actual === 'object' && actual !== null;
    const place = isObject ? `${pointer} object` : pointer;
    let known = this.failures.get(place);
    if (!known) this.failures.set(place, (known = new Map<unknown, SharedFailure>()));
    const key = isObject ? stringifyJson(actual) : actual;
    let found = known.get(key);
    if (!found) {
      known.set(key, (found = { pointer, actual, whole: [], some: new Map<number, number[]>() }));
      this.shared.push(found);
    }
    return found;
  }

  private note(failure: SharedFailure, { set, slot }: IndexedRule): void {
    const index = this.setIndexes.get(set)!;
    const slots = failure.some.get(index);
    if (slots) slots.push(slot);
    else failure.some.set(index, [slot]);
  }
}

/** More than all that comes before a probe can cost. */
const MARGIN = 10_000;

/** Whether the comparison certainly does not hold: where it is about to cost too much, the whole rule is evaluated. */
function clearlyFails(test: Probe['test'], value: unknown, event: PlatformEvent): boolean {
  const cost = costOf(event);
  try {
    return !test(value, cost) && cost.left > MARGIN;
  } catch {
    // The whole rule fails in the same way, and then that is its verdict.
    return false;
  }
}

type NotMatched = Extract<RuleVerdict, { outcome: 'not_matched' }>;
