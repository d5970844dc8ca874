import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { walk, type Scalar } from '#libs/expressions/src/path.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import type { Probe } from '../language/condition.js';
import { excerpt } from '../language/excerpt.js';
import type { KnownRule } from './compiled-rule.js';
import { accepts, type Member, type RuleClass, Shelf } from './filter-group.js';
import { costOf, judge, type Verdict } from './judge.js';
import type { FormedSet } from './rule-set.js';
import { type SharedFailure, Verdicts } from './verdicts.js';

/** Most event types whose shelves are remembered. */
const MAX_REMEMBERED = 10_000;

/**
 * The rules in force of one organisation, so arranged that an event need not be held against each of them. Rules lie on
 * shelves by the source and type that they name, and on a shelf in classes by the equalities that their conditions begin
 * with. Of a class only those are asked whose first equality holds; the verdict of the others is known from the value
 * alone, and is the one that asking them would have given.
 *
 * A change touches one rule, its class and its set; nothing is built again.
 */
export class RuleIndex {
  private readonly shelves = new Map<string, Shelf>();
  private readonly members = new Map<string, Member>();
  /** Shelves by event type; a shelf that is put up or taken down is added or removed. */
  private readonly byType = new BoundedMap<string, Shelf[]>(MAX_REMEMBERED);
  private asked = 0;

  constructor(private readonly orgId: string) {}

  get(ruleId: string): KnownRule | undefined {
    return this.members.get(ruleId)?.rule;
  }

  /** Puts a rule into force, or another version in its place. @param order among the rules, by their creation. */
  put(rule: KnownRule, order: number): void {
    this.remove(rule.id);
    const { eventType, eventSource } = rule.filter;
    const key = JSON.stringify([eventType, eventSource]);
    let shelf = this.shelves.get(key);
    if (!shelf) {
      this.shelves.set(key, (shelf = new Shelf(this.orgId, key, rule.compiled)));
      for (const [type, shelves] of this.byType) if (shelf.matchesType(type)) shelves.push(shelf);
    }
    this.members.set(rule.id, shelf.add(rule, order));
  }

  remove(ruleId: string): void {
    const member = this.members.get(ruleId);
    if (!member) return;
    this.members.delete(ruleId);
    const { shelf } = member.class;
    shelf.remove(member);
    if (shelf.sets.size > 0) return;
    this.shelves.delete(shelf.key);
    for (const [type, shelves] of this.byType) if (shelf.matchesType(type)) shelves.splice(shelves.indexOf(shelf), 1);
  }

  /** Whether any rule names this type. */
  mayMatch(type: string): boolean {
    return this.shelvesFor(type).length > 0;
  }

  /** Every rule whose source and type the event has, in the order of their creation. */
  rulesFor(type: string, source: string): readonly KnownRule[] {
    return this.shelvesFor(type)
      .filter((shelf) => shelf.matchesSource(source))
      .flatMap((shelf) => [...shelf.sets].flatMap(({ members }) => members))
      .sort((one, other) => one.order - other.order)
      .map(({ rule }) => rule);
  }

  /**
   * The verdicts of all rules whose source and type the event has; `undefined` if there is none, and then the event is not
   * looked into.
   */
  ask(type: string, source: string, event: () => PlatformEvent): Verdicts | undefined {
    const shelves = this.shelvesFor(type).filter((shelf) => shelf.matchesSource(source));
    return shelves.length === 0 ? undefined : new Asking(event(), ++this.asked).answer(shelves);
  }

  private shelvesFor(type: string): readonly Shelf[] {
    const known = this.byType.get(type);
    if (known) return known;
    const found = [...this.shelves.values()].filter((shelf) => shelf.matchesType(type));
    this.byType.set(type, found);
    return found;
  }
}

/** One event before the rules. */
class Asking {
  private readonly sets: FormedSet[] = [];
  private readonly places = new Map<unknown, number>();
  private readonly shared: SharedFailure[] = [];
  /** By pointer, and by the value seen. */
  private readonly failures = new Map<string, Map<unknown, SharedFailure>>();
  private readonly decided: { readonly member: Member; readonly verdict: Exclude<Verdict, NotMatched> }[] = [];
  /** What the first equality of a class saw: the failure of all its rules that are not asked. */
  private readonly missed = new Map<RuleClass, SharedFailure>();

  /** @param turn tells the members that were asked this time from those that were asked about other events. */
  constructor(
    private readonly event: PlatformEvent,
    private readonly turn: number,
  ) {}

  answer(shelves: readonly Shelf[]): Verdicts {
    for (const shelf of shelves) for (const set of shelf.sets) this.places.set(set, this.sets.push(set.formed) - 1);
    for (const shelf of shelves) for (const each of shelf.classes.values()) this.askClass(each);
    for (const shelf of shelves)
      for (const set of shelf.sets) {
        const { main, others } = set.arrangement;
        const shared = main && this.missed.get(main);
        if (shared) shared.whole.push(this.places.get(set)!);
        for (const member of others) {
          const missed = member.askedAt === this.turn ? undefined : this.missed.get(member.class);
          if (missed) this.note(missed, member);
        }
      }
    const decided = this.decided
      .sort((one, other) => one.member.order - other.member.order)
      .map(({ member, verdict }) => ({ rule: member.rule, verdict, set: this.places.get(member.set)! }));
    return new Verdicts(this.sets, this.shared, decided);
  }

  private askClass(each: RuleClass): void {
    const [first, ...more] = each.tests;
    if (!first) return this.probe(each, each.members);
    const value = walk(first.path, this.event);
    const hits = each.byValue.get(value as Scalar);
    if ((hits?.length ?? 0) < each.members.size)
      this.missed.set(each, this.failure(first.pointer, first.seesFalse ? false : excerpt(value)));
    if (!hits) return;
    const values = more.map(({ path }) => walk(path, this.event));
    const left: Member[] = [];
    for (const member of hits) {
      member.askedAt = this.turn;
      const failed = values.findIndex((seen, index) => !accepts(member.accepts[index + 1]!, seen));
      if (failed < 0) left.push(member);
      else {
        const { pointer, seesFalse } = more[failed]!;
        this.note(this.failure(pointer, seesFalse ? false : excerpt(values[failed])), member);
      }
    }
    this.probe(each, left);
  }

  /** Looks once at what all of them look at next; those for whom it is right are asked whole. */
  private probe({ probe }: RuleClass, members: Iterable<Member>): void {
    if (!probe) {
      for (const member of members) this.judge(member);
      return;
    }
    const value = walk(probe.path, this.event);
    let failure: SharedFailure | undefined;
    for (const member of members)
      if (!clearlyFails(member.probe!, value, this.event)) this.judge(member);
      else {
        member.askedAt = this.turn;
        failure ??= this.failure(probe.pointer, excerpt(value));
        this.note(failure, member);
      }
  }

  private judge(member: Member): void {
    member.askedAt = this.turn;
    const { broken, compiled } = member.rule;
    const verdict: Verdict = broken === undefined ? judge(compiled, this.event) : { outcome: 'errored', error: broken };
    if (verdict.outcome === 'not_matched')
      this.note(this.failure(verdict.failed.pointer, verdict.failed.actual), member);
    else this.decided.push({ member, verdict });
  }

  private failure(pointer: string, actual: unknown): SharedFailure {
    // Objects are the same if their JSON is, and are kept apart from texts.
    const isObject = typeof actual === 'object' && actual !== null;
    const place = isObject ? `${pointer} object` : pointer;
    let known = this.failures.get(place);
    if (!known) this.failures.set(place, (known = new Map<unknown, SharedFailure>()));
    const key = isObject ? JSON.stringify(actual) : actual;
    let found = known.get(key);
    if (!found) {
      known.set(key, (found = { pointer, actual, whole: [], some: new Map<number, number[]>() }));
      this.shared.push(found);
    }
    return found;
  }

  private note(failure: SharedFailure, { set, slot }: Member): void {
    const place = this.places.get(set)!;
    const slots = failure.some.get(place);
    if (slots) slots.push(slot);
    else failure.some.set(place, [slot]);
  }
}

/** More than all that comes before a probe can cost. */
const MARGIN = 10_000;

/** Whether the comparison does not hold, beyond doubt: where it is about to cost too much, the rule is asked whole. */
function clearlyFails(test: Probe['test'], value: unknown, event: PlatformEvent): boolean {
  const cost = costOf(event);
  try {
    return !test(value, cost) && cost.left > MARGIN;
  } catch {
    // Asked whole, it fails in the same way, and then it is that rule's verdict.
    return false;
  }
}

type NotMatched = Extract<Verdict, { outcome: 'not_matched' }>;
