import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Decision } from '#libs/events/src/types/rule.events.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { Problems } from '#libs/kernel/src/problems.js';

import { failedRulesOf } from '../engine/failed-rules.js';
import type { RuleVersion } from '../engine/rule-set.js';
import { ConditionCompiler } from '../language/condition-compiler.js';
import type { Failure } from '../language/condition.js';

/** A verdict as the log has it. */
export interface RecordedDecision extends Decision {
  readonly eventId: string;
}

/**
 * Reads decisions out of the log itself, every rule of every event in full: the other way round than recording them. For
 * whoever checks the log, and for tests; lists are answered from the views. Keeps every version of every rule and every
 * set that it has seen.
 */
export class RecordedDecisions {
  private readonly sets = new Map<string, readonly RuleVersion[]>();
  private readonly versions = new Map<string, RuleDefinition>();

  /** Events in the order of the log. Those that hold no verdicts give none. */
  read(event: RecordedEvent): readonly RecordedDecision[] {
    if (event.is('rule.created', 'rule.updated')) {
      const { ruleId, version, definition } = event.data;
      this.versions.set(`${ruleId} ${version}`, definition);
    } else if (event.is('rule.set_formed')) this.sets.set(event.data.set, event.data.rules);
    else if (event.is('rule.evaluated')) return this.decisionsOf(event.data);
    else if (event.is('rule.none_matched')) {
      const { asked, events } = event.data;
      return events.flatMap((one) => this.decisionsOf({ decisions: [], ...one, asked: asked[one.asked] ?? [] }));
    }
    return [];
  }

  private decisionsOf(record: {
    readonly eventId: string;
    readonly decisions: readonly Decision[];
    readonly asked?: readonly string[];
    readonly failed?: Parameters<typeof failedRulesOf>[1];
  }): readonly RecordedDecision[] {
    const { eventId, decisions, asked = [], failed = [] } = record;
    const sets = asked.map((name) => this.sets.get(name) ?? unknown(name));
    const rest = failedRulesOf(sets, failed, new Set(decisions.map(({ ruleId }) => ruleId)));
    return [
      ...decisions.map((decision) => ({ eventId, ...decision })),
      ...rest.map(({ ruleId, version, pointer, actual }): RecordedDecision => {
        const definition = this.versions.get(`${ruleId} ${version}`);
        return {
          eventId,
          ruleId,
          ruleName: definition?.name ?? '',
          ruleVersion: version,
          outcome: 'not_matched',
          failed: failureOf(definition?.conditions, pointer, actual),
          actions: [],
        };
      }),
    ];
  }
}

function unknown(name: string): never {
  throw new Error(`the log refers to the rule set ${name} before defining it`);
}

/**
 * What a condition said and wanted, in words again: a record keeps its place in the rule and the value that it saw.
 * @param conditions of the version that was asked.
 */
export function failureOf(conditions: unknown, pointer: string, actual: unknown): Failure {
  // What was valid when it was saved is read, whatever would be refused today.
  const condition = new ConditionCompiler(new Problems('rule')).compile(conditions, '/conditions').find(pointer);
  return condition?.failed(actual) ?? { pointer, condition: pointer, field: '', actual, expected: null };
}
