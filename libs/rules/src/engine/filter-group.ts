import type { Scalar } from '#libs/expressions/src/path.js';

import type { Condition, IndexableTest, Probe } from '../language/condition.js';
import type { CompiledDefinition } from '../language/definition.js';
import type { KnownRule } from './compiled-rule.js';
import { RuleSet } from './rule-set.js';

/** Values that a test accepts: a set where they are many. */
export type Accepted = readonly Scalar[] | ReadonlySet<Scalar>;

export const accepts = (accepted: Accepted, value: unknown): boolean =>
  accepted instanceof Set ? accepted.has(value) : (accepted as readonly unknown[]).includes(value);

const FEW = 8;

/** A rule in force, in its place. */
export interface Member {
  readonly rule: KnownRule;
  /** Among the rules, by their creation. */
  readonly order: number;
  readonly class: RuleClass;
  readonly set: ArrangedSet;
  /** For each test of its class, the values that the rule wants. */
  readonly accepts: readonly Accepted[];
  readonly probe: Probe['test'] | undefined;
  slot: number;
  /** The last event about which it was asked itself. */
  askedAt: number;
}

/** Rules on one shelf whose conditions begin by looking at the same paths, at the same places of the rule. */
export interface RuleClass {
  readonly key: string;
  readonly shelf: Shelf;
  readonly tests: readonly Omit<IndexableTest, 'accepts'>[];
  /** What is asked of each next. */
  readonly probe: Pick<Probe, 'pointer' | 'path'> | undefined;
  readonly members: Set<Member>;
  /** Members by the values that their first test accepts. */
  readonly byValue: Map<Scalar, Member[]>;
  /** Its own sets with room, once it is large enough to have any. */
  readonly withRoom: Set<ArrangedSet>;
}

/** From so many rules on a class has sets of its own: their members fail together. Smaller ones share sets. */
const OWN_SETS_FROM = 32;

/** A set with what is needed to say how its members fared: most of them as those of one class do. */
export class ArrangedSet extends RuleSet<Member> {
  private arranged: Arrangement | undefined;

  constructor(
    orgId: string,
    readonly home: Set<ArrangedSet>,
  ) {
    super(orgId);
  }

  override add(member: Member): void {
    super.add(member);
    this.arranged = undefined;
  }

  override remove(member: Member): void {
    super.remove(member);
    this.arranged = undefined;
  }

  get arrangement(): Arrangement {
    return (this.arranged ??= arrange(this.members));
  }
}

export interface Arrangement {
  /** The class whose first test decides for most; `undefined` where no class has a test. */
  readonly main: RuleClass | undefined;
  /** Members of other classes that have a test. */
  readonly others: readonly Member[];
}

function arrange(members: readonly Member[]): Arrangement {
  const counts = new Map<RuleClass, number>();
  for (const member of members)
    if (member.class.tests.length > 0) counts.set(member.class, (counts.get(member.class) ?? 0) + 1);
  const [main] = [...counts].sort(([, one], [, other]) => other - one)[0] ?? [];
  return { main, others: members.filter((member) => member.class !== main && member.class.tests.length > 0) };
}

const NOTHING: Pick<Condition, 'leading' | 'probe'> = { leading: [], probe: undefined };

/** The rules of an organisation that name one source and one type, or one glob of each. */
export class Shelf {
  readonly matchesType: (type: string) => boolean;
  readonly matchesSource: (source: string) => boolean;
  readonly classes = new Map<string, RuleClass>();
  readonly sets = new Set<ArrangedSet>();
  private readonly withRoom = new Set<ArrangedSet>();

  constructor(
    private readonly orgId: string,
    readonly key: string,
    { matchesType, matchesSource }: Pick<CompiledDefinition, 'matchesType' | 'matchesSource'>,
  ) {
    this.matchesType = matchesType;
    this.matchesSource = matchesSource;
  }

  add(rule: KnownRule, order: number): Member {
    const { leading: tests, probe } = rule.broken === undefined ? rule.compiled.condition : NOTHING;
    const each = this.classFor(tests, probe);
    const set = this.setFor(each);
    const member: Member = {
      rule,
      order,
      class: each,
      set,
      accepts: tests.map(({ accepts }) => (accepts.length > FEW ? new Set(accepts) : accepts)),
      probe: probe?.test,
      slot: 0,
      askedAt: 0,
    };
    set.add(member);
    if (!set.hasRoom) set.home.delete(set);
    each.members.add(member);
    for (const value of member.accepts[0] ?? []) {
      const those = each.byValue.get(value);
      if (!those) each.byValue.set(value, [member]);
      else if (those.at(-1) !== member) those.push(member);
    }
    return member;
  }

  remove(member: Member): void {
    const { class: each, set } = member;
    set.remove(member);
    if (set.members.length > 0) set.home.add(set);
    else {
      set.home.delete(set);
      this.sets.delete(set);
    }
    each.members.delete(member);
    for (const value of member.accepts[0] ?? []) {
      const those = each.byValue.get(value);
      const place = those?.indexOf(member) ?? -1;
      if (place >= 0) those!.splice(place, 1);
      if (those?.length === 0) each.byValue.delete(value);
    }
    if (each.members.size === 0) this.classes.delete(each.key);
  }

  private classFor(tests: readonly IndexableTest[], next: Probe | undefined): RuleClass {
    const looks = tests.map(({ pointer, path, seesFalse }) => ({ pointer, path, seesFalse }));
    const probe = next && { pointer: next.pointer, path: next.path };
    const key = JSON.stringify([looks, probe]);
    let found = this.classes.get(key);
    if (!found) {
      const byValue = new Map<Scalar, Member[]>();
      found = { key, shelf: this, tests: looks, probe, members: new Set(), byValue, withRoom: new Set() };
      this.classes.set(key, found);
    }
    return found;
  }

  private setFor(each: RuleClass): ArrangedSet {
    const home = each.members.size < OWN_SETS_FROM ? this.withRoom : each.withRoom;
    for (const set of home) return set;
    const set = new ArrangedSet(this.orgId, home);
    home.add(set);
    this.sets.add(set);
    return set;
  }
}
