import { scalarKey, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Condition, IndexableTest, Probe } from '../language/condition.js';
import type { CompiledDefinition } from '../language/definition.js';
import type { CompiledRule } from './compiled-rule.js';
import { RuleSet } from './rule-set.js';

/** Values that a test accepts, by their `scalarKey`: a set where they are many. */
export type Accepted = readonly unknown[] | ReadonlySet<unknown>;

export const accepts = (accepted: Accepted, value: unknown): boolean => {
  const key = scalarKey(value);
  return accepted instanceof Set ? accepted.has(key) : (accepted as readonly unknown[]).includes(key);
};

const FEW = 8;

/** An enabled rule, and where it is in the index. */
export interface IndexedRule {
  readonly rule: CompiledRule;
  /** Among the rules, by their creation. */
  readonly order: number;
  readonly pathGroup: PathGroup;
  readonly set: IndexedRuleSet;
  /** For each test of its path group, the values that the rule wants. */
  readonly accepts: readonly Accepted[];
  readonly probe: Probe['test'] | undefined;
  slot: number;
  /** The number of the last event for which it was evaluated by itself. */
  evaluatedAt: number;
}

/** Rules of a filter group whose conditions begin by reading the same paths, at the same places of the rule. */
export interface PathGroup {
  readonly key: string;
  readonly filterGroup: FilterGroup;
  readonly tests: readonly Omit<IndexableTest, 'accepts'>[];
  /** What is tested of each next. */
  readonly probe: Pick<Probe, 'pointer' | 'path'> | undefined;
  readonly members: Set<IndexedRule>;
  /** Members by the values that their first test accepts. */
  readonly byValue: Map<unknown, IndexedRule[]>;
  /** Its own sets with room, once it is large enough to have any. */
  readonly withRoom: Set<IndexedRuleSet>;
}

/** From so many rules on, a path group has sets of its own: their members fail together. Smaller ones share sets. */
const OWN_SETS_FROM = 32;

/** A set that knows which path group most of its members are in: they mostly fail together. */
export class IndexedRuleSet extends RuleSet<IndexedRule> {
  private knownLayout: SetLayout | undefined;

  constructor(
    orgId: string,
    readonly home: Set<IndexedRuleSet>,
  ) {
    super(orgId);
  }

  override add(member: IndexedRule): void {
    super.add(member);
    this.knownLayout = undefined;
  }

  override remove(member: IndexedRule): void {
    super.remove(member);
    this.knownLayout = undefined;
  }

  get layout(): SetLayout {
    return (this.knownLayout ??= layoutOf(this.members));
  }
}

export interface SetLayout {
  /** The path group whose first test decides for most; `undefined` where none has a test. */
  readonly main: PathGroup | undefined;
  /** Members of other path groups that have a test. */
  readonly others: readonly IndexedRule[];
}

function layoutOf(members: readonly IndexedRule[]): SetLayout {
  const tested = members.filter(({ pathGroup }) => pathGroup.tests.length > 0);
  const counts = new Map<PathGroup, number>();
  for (const { pathGroup } of tested) counts.set(pathGroup, (counts.get(pathGroup) ?? 0) + 1);
  const [main] = [...counts].sort(([, one], [, other]) => other - one)[0] ?? [];
  return { main, others: tested.filter(({ pathGroup }) => pathGroup !== main) };
}

const NOTHING: Pick<Condition, 'leading' | 'probe'> = { leading: [], probe: undefined };

/** The rules of an organisation that name one source and one type, or one glob of each. */
export class FilterGroup {
  readonly matchesType: (type: string) => boolean;
  readonly matchesSource: (source: string) => boolean;
  readonly pathGroups = new Map<string, PathGroup>();
  readonly sets = new Set<IndexedRuleSet>();
  private readonly withRoom = new Set<IndexedRuleSet>();

  constructor(
    private readonly orgId: string,
    readonly key: string,
    { matchesType, matchesSource }: Pick<CompiledDefinition, 'matchesType' | 'matchesSource'>,
  ) {
    this.matchesType = matchesType;
    this.matchesSource = matchesSource;
  }

  add(rule: CompiledRule, order: number): IndexedRule {
    const { leading: tests, probe } = rule.broken === undefined ? rule.compiled.condition : NOTHING;
    const pathGroup = this.pathGroupFor(tests, probe);
    const set = this.setFor(pathGroup);
    const member: IndexedRule = {
      rule,
      order,
      pathGroup,
      set,
      accepts: tests.map(({ accepts }) =>
        accepts.length > FEW ? new Set(accepts.map(scalarKey)) : accepts.map(scalarKey),
      ),
      probe: probe?.test,
      slot: 0,
      evaluatedAt: 0,
    };
    set.add(member);
    if (!set.hasRoom) set.home.delete(set);
    pathGroup.members.add(member);
    for (const value of member.accepts[0] ?? []) {
      const rules = pathGroup.byValue.get(value);
      if (!rules) pathGroup.byValue.set(value, [member]);
      else if (rules.at(-1) !== member) rules.push(member);
    }
    return member;
  }

  remove(member: IndexedRule): void {
    const { pathGroup, set } = member;
    set.remove(member);
    if (set.members.length > 0) set.home.add(set);
    else {
      set.home.delete(set);
      this.sets.delete(set);
    }
    pathGroup.members.delete(member);
    for (const value of member.accepts[0] ?? []) {
      const rules = pathGroup.byValue.get(value);
      const place = rules?.indexOf(member) ?? -1;
      if (place >= 0) rules!.splice(place, 1);
      if (rules?.length === 0) pathGroup.byValue.delete(value);
    }
    if (pathGroup.members.size === 0) this.pathGroups.delete(pathGroup.key);
  }

  private pathGroupFor(tests: readonly IndexableTest[], next: Probe | undefined): PathGroup {
    const looks = tests.map(({ pointer, path, seesFalse }) => ({ pointer, path, seesFalse }));
    const probe = next && { pointer: next.pointer, path: next.path };
    const key = stringifyJson([looks, probe]);
    let found = this.pathGroups.get(key);
    if (!found) {
      const byValue = new Map<unknown, IndexedRule[]>();
      found = { key, filterGroup: this, tests: looks, probe, members: new Set(), byValue, withRoom: new Set() };
      this.pathGroups.set(key, found);
    }
    return found;
  }

  private setFor(pathGroup: PathGroup): IndexedRuleSet {
    const home = pathGroup.members.size < OWN_SETS_FROM ? this.withRoom : pathGroup.withRoom;
    for (const set of home) return set;
    const set = new IndexedRuleSet(this.orgId, home);
    home.add(set);
    this.sets.add(set);
    return set;
  }
}
