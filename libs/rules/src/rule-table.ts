import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { type CompiledDefinition, compileDefinition, type RuleDefinition } from './definition.js';

/** A rule in force. */
export interface KnownRule {
  readonly id: string;
  readonly orgId: string;
  readonly name: string;
  readonly version: number;
  readonly compiled: CompiledDefinition;
  /** Set where a rule that was saved long ago no longer compiles: its verdict is always this error. */
  readonly broken?: string;
}

interface Entry {
  readonly orgId: string;
  readonly definition: RuleDefinition;
  readonly version: number;
  readonly enabled: boolean;
}

/** Most (organisation, type) pairs whose rules are remembered before the memory is cleared. */
const MAX_REMEMBERED = 10_000;
const NONE: readonly KnownRule[] = [];

/**
 * The rules in force, by organisation and event type. Archived and disabled rules are not among those that are asked.
 * Which rules could match a type is worked out once and remembered until a rule changes.
 */
export class RuleTable implements Table {
  readonly name = 'rules.table';
  readonly reads = ['rule.created', 'rule.updated', 'rule.enabled', 'rule.disabled', 'rule.archived'] as const;

  private readonly entries = new Map<string, Entry>();
  private readonly inForce = new Map<string, Map<string, KnownRule>>();
  private readonly remembered = new Map<string, Map<string, readonly KnownRule[]>>();
  private readonly wanted = new Map<string, boolean>();

  clear(): void {
    this.entries.clear();
    this.inForce.clear();
    this.remembered.clear();
    this.wanted.clear();
  }

  /** Whether a rule of any organisation names this type: events that no rule could match cost one look-up. */
  mayMatch(type: string): boolean {
    const known = this.wanted.get(type);
    if (known !== undefined) return known;
    if (this.wanted.size >= MAX_REMEMBERED) this.wanted.clear();
    const found = [...this.inForce.values()].some((rules) =>
      [...rules.values()].some((rule) => rule.compiled.matchesType(type)),
    );
    this.wanted.set(type, found);
    return found;
  }

  /** Rules whose source and type match, in the order in which they were created. */
  rulesFor(orgId: string, type: string, source: string): readonly KnownRule[] {
    const byType = this.byType(orgId, type);
    return byType.length === 0 ? NONE : byType.filter((rule) => rule.compiled.matchesSource(source));
  }

  private byType(orgId: string, type: string): readonly KnownRule[] {
    const rules = this.inForce.get(orgId);
    if (!rules) return NONE;
    let known = this.remembered.get(orgId);
    if (!known) this.remembered.set(orgId, (known = new Map<string, readonly KnownRule[]>()));
    const found = known.get(type);
    if (found) return found;
    if (known.size >= MAX_REMEMBERED) known.clear();
    const matching = [...rules.values()].filter((rule) => rule.compiled.matchesType(type));
    known.set(type, matching);
    return matching;
  }

  apply(event: RecordedEvent): void {
    const { orgId } = event.metadata;
    if (event.is('rule.created')) {
      const { ruleId, version, enabled, definition } = event.data;
      this.put(ruleId, { orgId, definition, version, enabled });
      return;
    }
    if (!event.is('rule.updated', 'rule.enabled', 'rule.disabled', 'rule.archived')) return;
    const entry = this.entries.get(event.data.ruleId);
    if (!entry) return;
    if (event.is('rule.updated')) {
      const { ruleId, version, definition } = event.data;
      this.put(ruleId, { ...entry, definition, version });
    } else if (event.is('rule.enabled')) this.put(event.data.ruleId, { ...entry, enabled: true });
    else if (event.is('rule.disabled')) this.put(event.data.ruleId, { ...entry, enabled: false });
    else if (event.is('rule.archived')) {
      this.put(event.data.ruleId, { ...entry, enabled: false });
      this.entries.delete(event.data.ruleId);
    }
  }

  private put(id: string, entry: Entry): void {
    const before = this.entries.get(id);
    this.entries.set(id, entry);
    this.remembered.delete(entry.orgId);
    this.wanted.clear();
    let rules = this.inForce.get(entry.orgId);
    if (!rules) this.inForce.set(entry.orgId, (rules = new Map<string, KnownRule>()));
    if (!entry.enabled) {
      rules.delete(id);
      return;
    }
    const unchanged = before?.definition === entry.definition ? rules.get(id) : undefined;
    rules.set(id, unchanged ?? known(id, entry));
  }
}

function known(id: string, { orgId, definition, version }: Entry): KnownRule {
  const rule = { id, orgId, name: definition.name, version };
  try {
    return { ...rule, compiled: compileDefinition(definition) };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    const { eventSource, eventType } = definition;
    const compiled = compileDefinition({ name: 'broken', eventSource, eventType, actions: [] });
    return { ...rule, compiled, broken: error.message };
  }
}
