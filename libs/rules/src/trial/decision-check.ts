import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { eventIdOf } from '#libs/events/src/envelope.js';

import { failedRulesOf, type FailureGroup } from '../engine/failed-rules.js';
import { isBeyondHops } from '../engine/evaluate-rule.js';
import type { RuleVersion } from '../engine/rule-set.js';
import { RuleTable } from '../engine/rule.table.js';

/** What does not add up about one event. */
export interface Discrepancy {
  readonly eventId: string;
  readonly eventType: string;
  readonly position: string;
  /** `none`: no verdict at all. `twice`: a rule has more than one. Else rules without one, and verdicts too many. */
  readonly kind: 'none' | 'missing' | 'surplus' | 'twice';
  /** Some of the rules that it is about. */
  readonly rules: readonly string[];
}

export interface CheckResult {
  /** Events whose source and type at least one rule in force named. */
  readonly events: number;
  /** Rules that were to decide about them. */
  readonly pairs: number;
  readonly discrepancies: readonly Discrepancy[];
  /** All of them; those above are the first. */
  readonly discrepancyCount: number;
  /** Bytes of the records that hold the verdicts, with those of the sets, roughly. */
  readonly bytes: number;
}

interface Expected {
  readonly event: Pick<Discrepancy, 'eventType' | 'position'>;
  readonly wanted: ReadonlySet<string>;
  found: Set<string>;
}

const MOST_TOLD = 100;
const RULES_TOLD = 10;
/** Events whose verdicts were complete, and are remembered to find those that have more. */
const REMEMBERED = 200_000;

/**
 * Holds the verdicts in the log against the rules that were in force at each event: every rule whose source and type named
 * the event has one, and only one. Knows of the index nothing but the sets that are recorded. Pure; memory is bounded by
 * the events that are not decided yet.
 */
export class DecisionCheck {
  private readonly table = new RuleTable();
  private readonly sets = new Map<string, readonly RuleVersion[]>();
  private readonly open = new Map<string, Expected>();
  private done = new Set<string>();
  private doneBefore = new Set<string>();
  /** Rules by type and source, until one changes. */
  private readonly asked = new Map<string, ReadonlySet<string>>();
  private readonly told: Discrepancy[] = [];
  private events = 0;
  private pairs = 0;
  private wrong = 0;
  private bytes = 0;

  /** @param upTo events after it are not expected to be decided. */
  constructor(private readonly upTo: bigint) {}

  /** Everything in the log, in its order. */
  look(event: RecordedEvent): void {
    if (event.position <= this.upTo) this.expect(event);
    if (this.table.reads.some((type) => type === event.type)) {
      this.table.apply(event);
      this.asked.clear();
    } else if (event.is('rule.set_formed')) {
      this.sets.set(event.data.set, event.data.rules);
      this.bytes += event.bytes;
    } else if (event.is('event.quarantined')) {
      // Nobody need decide about it any more.
      this.open.delete(event.data.eventId);
    } else if (event.is('rule.evaluated')) {
      const { eventId, decisions, asked = [], failed = [], afterBurst } = event.data;
      // The pair had its verdict when the event came: that it was held back.
      if (!afterBurst) this.verdicts(eventId, decisions, asked, failed);
      this.bytes += event.bytes;
    } else if (event.is('rule.none_matched')) {
      const { asked, events } = event.data;
      for (const one of events) this.verdicts(one.eventId, one.decisions ?? [], asked[one.asked] ?? [], one.failed);
      this.bytes += event.bytes;
    }
  }

  result(): CheckResult {
    const open = [...this.open].map(([eventId, { event, wanted, found }]): Discrepancy => {
      const missing = [...wanted].filter((pair) => !found.has(pair));
      return { eventId, ...event, kind: found.size === 0 ? 'none' : 'missing', rules: missing.slice(0, RULES_TOLD) };
    });
    return {
      events: this.events,
      pairs: this.pairs,
      discrepancies: [...this.told, ...open].slice(0, MOST_TOLD),
      discrepancyCount: this.wrong + open.length,
      bytes: this.bytes,
    };
  }

  private expect(event: RecordedEvent): void {
    const wanted = this.rulesFor(event);
    if (wanted.size === 0 || isBeyondHops(event)) return;
    this.events++;
    this.pairs += wanted.size;
    this.open.set(eventIdOf(event.id), {
      event: { eventType: event.type, position: String(event.position) },
      wanted,
      found: new Set(),
    });
  }

  private rulesFor(event: RecordedEvent): ReadonlySet<string> {
    const { orgId, source } = event.metadata;
    const key = `${orgId} ${event.type} ${source}`;
    let rules = this.asked.get(key);
    if (!rules) {
      rules = new Set(this.table.rulesFor(orgId, event.type, source).map(({ id, version }) => `${id} ${version}`));
      this.asked.set(key, rules);
    }
    return rules;
  }

  private verdicts(
    eventId: string,
    decisions: readonly { readonly ruleId: string; readonly ruleVersion: number }[],
    asked: readonly string[],
    failed: readonly FailureGroup[],
  ): void {
    const sets = asked.map((name) => this.sets.get(name) ?? []);
    const decided = new Set(decisions.map(({ ruleId }) => ruleId));
    const pairs = [
      ...decisions.map(({ ruleId, ruleVersion }) => `${ruleId} ${ruleVersion}`),
      ...failedRulesOf(sets, failed, decided).map(({ ruleId, version }) => `${ruleId} ${version}`),
    ];
    const expected = this.open.get(eventId);
    if (!expected) {
      const isRepeat = this.done.has(eventId) || this.doneBefore.has(eventId);
      if (isRepeat) this.tell({ eventId, eventType: '', position: '', kind: 'twice', rules: pairs });
      return;
    }
    const { found, wanted, event } = expected;
    const twice = pairs.filter((pair) => found.has(pair));
    const surplus = pairs.filter((pair) => !wanted.has(pair));
    if (twice.length > 0) this.tell({ eventId, ...event, kind: 'twice', rules: twice });
    if (surplus.length > 0) this.tell({ eventId, ...event, kind: 'surplus', rules: surplus });
    for (const pair of pairs) if (wanted.has(pair)) found.add(pair);
    if (found.size < wanted.size) return;
    this.open.delete(eventId);
    if (this.done.size >= REMEMBERED) {
      this.doneBefore = this.done;
      this.done = new Set();
    }
    this.done.add(eventId);
  }

  private tell(discrepancy: Discrepancy): void {
    this.wrong++;
    if (this.told.length < MOST_TOLD) this.told.push({ ...discrepancy, rules: discrepancy.rules.slice(0, RULES_TOLD) });
  }
}
