import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import { type CompiledRule, compileRule } from './compiled-rule.js';
import { RuleIndex } from './rule-index.js';
import type { EventVerdicts } from './event-verdicts.js';

interface Entry {
  readonly rule: CompiledRule;
  readonly enabled: boolean;
  /** Among all rules, by their creation. */
  readonly order: number;
}

/** Most types that are remembered as named or not. */
const MAX_REMEMBERED = 10_000;

/**
 * The enabled rules, by organisation. Archived and disabled ones are not evaluated. A change costs as much with ten thousand
 * rules as with ten.
 */
export class RuleTable implements Table {
  readonly name = followers.rules;
  readonly reads = ['rule.created', 'rule.updated', 'rule.enabled', 'rule.disabled', 'rule.archived'] as const;

  private readonly entries = new Map<string, Entry>();
  private readonly byOrg = new Map<string, RuleIndex>();
  /** Whether a rule of any organisation names a type. May be true for a while after the last of them is gone. */
  private readonly wanted = new BoundedMap<string, boolean>(MAX_REMEMBERED);
  private created = 0;

  clear(): void {
    this.entries.clear();
    this.byOrg.clear();
    this.wanted.clear();
    this.created = 0;
  }

  /** Whether a rule of any organisation may name this type: an event that no rule can match costs one look-up. */
  mayMatch(type: string): boolean {
    const known = this.wanted.get(type);
    if (known !== undefined) return known;
    const found = [...this.byOrg.values()].some((index) => index.mayMatch(type));
    this.wanted.set(type, found);
    return found;
  }

  /** Rules whose source and type match, in the order in which they were created. */
  rulesFor(orgId: string, type: string, source: string): readonly CompiledRule[] {
    return this.byOrg.get(orgId)?.rulesFor(type, source) ?? [];
  }

  /** An enabled rule. */
  find(id: string): CompiledRule | undefined {
    const entry = this.entries.get(id);
    return entry?.enabled ? entry.rule : undefined;
  }

  /** The verdicts of all rules whose source and type match; `undefined` if there is none. */
  evaluate(event: RecordedEvent): EventVerdicts | undefined {
    if (!this.mayMatch(event.type)) return undefined;
    const { orgId, source } = event.metadata;
    return this.byOrg.get(orgId)?.evaluate(event.type, source, () => platformEvent(event));
  }

  apply(event: RecordedEvent): void {
    const { orgId } = event.metadata;
    if (event.is('rule.created')) {
      const { ruleId, version, enabled, definition } = event.data;
      const order = this.entries.get(ruleId)?.order ?? this.created++;
      this.put({ rule: compileRule(ruleId, orgId, version, definition), enabled, order });
      return;
    }
    if (!event.is('rule.updated', 'rule.enabled', 'rule.disabled', 'rule.archived')) return;
    const entry = this.entries.get(event.data.ruleId);
    if (!entry) return;
    if (event.is('rule.updated')) {
      const { ruleId, version, definition } = event.data;
      this.put({ ...entry, rule: compileRule(ruleId, entry.rule.orgId, version, definition) });
    } else if (event.is('rule.enabled')) this.put({ ...entry, enabled: true });
    else if (event.is('rule.disabled')) this.put({ ...entry, enabled: false });
    else if (event.is('rule.archived')) {
      this.put({ ...entry, enabled: false });
      this.entries.delete(event.data.ruleId);
    }
  }

  private put(entry: Entry): void {
    const { rule, enabled, order } = entry;
    this.entries.set(rule.id, entry);
    let index = this.byOrg.get(rule.orgId);
    if (!index) this.byOrg.set(rule.orgId, (index = new RuleIndex(rule.orgId)));
    if (!enabled) {
      index.remove(rule.id);
      return;
    }
    if (index.get(rule.id) === rule) return;
    index.put(rule, order);
    for (const [type, isWanted] of this.wanted)
      if (!isWanted && rule.compiled.matchesType(type)) this.wanted.set(type, true);
  }
}
