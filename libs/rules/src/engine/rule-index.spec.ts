import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { RecordedEvent, platformEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { ExactNumber, parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { failureOf } from '../decisions/recorded-decisions.js';
import { failedRulesOf } from './failed-rules.js';
import { evaluateConditions } from './evaluate-rule.js';
import { RuleTable } from './rule.table.js';

let position = 0n;
function recorded(type: string, data: object, source = 'github', orgId = 'org_1'): RecordedEvent {
  const id = uuid7();
  const event = newEvent({ type, data }, { id, orgId, actor: 'x', now: new Date(0), source });
  return new RecordedEvent(`s-${id}`, 0n, ++position, id, type, new Date(0), event.data, event.metadata);
}

type Definition = Pick<RuleDefinition, 'eventSource' | 'eventType' | 'conditions'>;
const create = (ruleId: string, definition: Definition, enabled = true, version = 1) =>
  recorded('rule.created', { ruleId, version, enabled, definition: { name: ruleId, actions: [], ...definition } });
const update = (ruleId: string, definition: Definition, version: number) =>
  recorded('rule.updated', { ruleId, version, definition: { name: ruleId, actions: [], ...definition } });

/** Every verdict, by asking each rule that the table names. */
function oneByOne(table: RuleTable, event: RecordedEvent): Map<string, unknown> {
  const { orgId, source } = event.metadata;
  return new Map(
    table.rulesFor(orgId, event.type, source).map((rule) => {
      const verdict =
        rule.broken === undefined
          ? evaluateConditions(rule.compiled, platformEvent(event))
          : { outcome: 'errored', error: rule.broken };
      return [`${rule.id} ${rule.version}`, verdict];
    }),
  );
}

/** Every verdict, as it is recorded: sets and what they share, put in words again. */
function indexed(
  table: RuleTable,
  event: RecordedEvent,
  conditions: ReadonlyMap<string, unknown>,
  most = Infinity,
): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const part of table.evaluate(event)?.parts(most) ?? []) {
    for (const { rule, verdict } of part.decided) found.set(`${rule.id} ${rule.version}`, verdict);
    const asked = part.sets.map(({ rules }) => rules);
    const failed = parseAsWritten(stringifyJson(part.failed)) as typeof part.failed;
    for (const one of failedRulesOf(asked, failed, new Set(part.decided.map(({ rule }) => rule.id)))) {
      const key = `${one.ruleId} ${one.version}`;
      if (found.has(key)) throw new Error(`${key} has two verdicts`);
      found.set(key, { outcome: 'not_matched', failed: failureOf(conditions.get(key), one.pointer, one.actual) });
    }
  }
  return found;
}

const field = fc.constantFrom('data.a', 'data.b', 'data.c.d', 'data.list[0]', 'data.list[-1]', 'data', 'source');
const exact = (text: string): ExactNumber => new ExactNumber(text);
const numbers = [1, 0, -0, 2.5, ...['1.0', '2.50', '-0.0', '1e400', '9007199254740993', '9007199254740992'].map(exact)];
const scalar = fc.constantFrom<unknown>('x', 'y', 'z', ...numbers, true, false, null, '', '1');
const comparison = fc.oneof(
  fc.record({ field, operator: fc.constantFrom('equals', 'equals', 'not_equals'), value: scalar }),
  fc.record({ field, operator: fc.constantFrom('in', 'in', 'not_in'), value: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({ field, operator: fc.constant('equals'), value: fc.constantFrom<unknown>([1], { d: 'x' }, []) }),
  fc.record({ field, operator: fc.constant('gt'), value: fc.constantFrom<unknown>(1, 'x') }),
  fc.record({ field, operator: fc.constantFrom('exists', 'not_exists') }),
  fc.record({ field, operator: fc.constantFrom('contains', 'not_contains'), value: fc.constantFrom<unknown>('x', 1) }),
  fc.record({ field, operator: fc.constantFrom('starts_with', 'matches'), value: fc.constantFrom('x', 'y') }),
);
const literal = fc.constantFrom("'x'", "'y'", '`1`', '`9007199254740993`', '`1e400`', '`true`', '`null`', '`2.5`');
const expression = fc
  .array(
    fc.oneof(
      fc.tuple(field, literal).map(([left, right]) => `${left} == ${right}`),
      fc.tuple(field, literal).map(([left, right]) => `${right} == ${left}`),
      fc.constantFrom('data.a', 'length(data.list) > `1`', "data.b != 'x'", 'data.c'),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) => ({ expression: parts.join(' && ') }));
const { condition } = fc.letrec<{ condition: unknown }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    comparison,
    expression,
    fc.array(tie('condition'), { maxLength: 4 }).map((all) => ({ all })),
    fc.array(tie('condition'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
    tie('condition').map((not) => ({ not })),
    fc.constant({ field: 'data.a', operator: 'once known', value: 1 }),
  ),
}));
const definition = fc.record({
  eventSource: fc.constantFrom('*', 'github', 'git*', 'gitlab'),
  eventType: fc.constantFrom('git.push', 'git.*', '*', 'pr.opened'),
  conditions: fc.oneof({ arbitrary: condition, weight: 9 }, fc.constant(undefined)),
});
const data = fc.record({
  a: scalar,
  b: fc.oneof(scalar, fc.constantFrom<unknown>([1], { d: 'x' }, 'x'.repeat(300))),
  c: fc.oneof(scalar, fc.record({ d: scalar })),
  list: fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })),
});
const event = fc.record({
  type: fc.constantFrom('git.push', 'git.tag_pushed', 'pr.opened', 'webhook.received'),
  source: fc.constantFrom('github', 'gitlab', 'slack'),
  data,
});

/** What happens to the rules: a number chooses among those that there are. */
const change = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('create' as const), definition, enabled: fc.boolean() }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('update' as const), which: fc.nat(), definition }), weight: 3 },
  fc.record({
    kind: fc.constantFrom('rule.enabled' as const, 'rule.disabled' as const, 'rule.archived' as const),
    which: fc.nat(),
  }),
);

describe('verdicts by the index', () => {
  let table: RuleTable;
  let conditions: Map<string, unknown>;
  let versions: Map<string, number>;
  beforeEach(() => start());
  function start(): void {
    table = new RuleTable();
    conditions = new Map();
    versions = new Map();
  }
  function put(ruleId: string, given: Definition, enabled = true): void {
    const version = (versions.get(ruleId) ?? 0) + 1;
    versions.set(ruleId, version);
    conditions.set(`${ruleId} ${version}`, given.conditions && parseAsWritten(stringifyJson(given.conditions)));
    table.apply(version === 1 ? create(ruleId, given, enabled) : update(ruleId, given, version));
  }
  const look = (type: string, given: object, source?: string) => {
    const one = recorded(type, given, source);
    const wanted = oneByOne(table, one);
    expect(indexed(table, one, conditions)).toEqual(wanted);
    expect(indexed(table, one, conditions, 1)).toEqual(wanted);
  };

  it('are those of asking every rule, whatever the rules and events', () => {
    fc.assert(
      fc.property(
        fc.array(definition, { maxLength: 60 }),
        fc.array(event, { minLength: 1, maxLength: 4 }),
        (definitions, events) => {
          start();
          definitions.forEach((given, n) => put(`rul_${n}`, given));
          for (const { type, data: given, source } of events) look(type, given, source);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are the same after any sequence of creating, changing, switching and archiving', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(change, fc.option(event)), { maxLength: 80 }), (steps) => {
        start();
        for (const [step, seen] of steps) {
          const ids = [...versions.keys()];
          if (step.kind === 'create') put(`rul_${ids.length}`, step.definition, step.enabled);
          else if (ids.length > 0) {
            const ruleId = ids[step.which % ids.length]!;
            if (step.kind === 'update') put(ruleId, step.definition);
            else table.apply(recorded(step.kind, { ruleId }));
          }
          if (seen) look(seen.type, seen.data, seen.source);
        }
        look('git.push', { a: 'x', b: 1, c: { d: 'x' }, list: [] });
      }),
      { numRuns: 60 },
    );
  });

  it('hold for many rules of one kind, that fill sets and are taken away again', () => {
    const on = (branch: string) => ({
      eventSource: '*',
      eventType: 'git.push',
      conditions: {
        all: [
          { field: 'data.branch', operator: 'equals', value: branch },
          { field: 'data.kind', operator: 'in', value: ['a', branch] },
          { field: 'data.n', operator: 'gt', value: 3 },
        ],
      },
    });
    for (let n = 0; n < 200; n++) put(`rul_${n}`, on(`b${n % 50}`));
    const seen = () => {
      for (const given of [
        { branch: 'b3' },
        { branch: 'b3', kind: 'a', n: 4 },
        { branch: 'b3', kind: 'a' },
        { branch: 'none' },
      ])
        look('git.push', given);
    };
    seen();
    for (let n = 0; n < 200; n += 3) table.apply(recorded('rule.disabled', { ruleId: `rul_${n}` }));
    seen();
    for (let n = 0; n < 200; n += 2) put(`rul_${n}`, on('b3'));
    for (let n = 0; n < 200; n += 6) table.apply(recorded('rule.enabled', { ruleId: `rul_${n}` }));
    seen();
    for (let n = 0; n < 200; n++) table.apply(recorded('rule.archived', { ruleId: `rul_${n}` }));
    expect(table.evaluate(recorded('git.push', {}))).toBeUndefined();
  });

  it('of a rule that costs too much touch no other', () => {
    const filter = { eventSource: '*', eventType: 'git.push' };
    const costly = { expression: Array(40).fill('[@, @][]').join(' | ') };
    put('rul_0', { ...filter, conditions: { all: [{ field: 'data.a', operator: 'equals', value: 'x' }, costly] } });
    put('rul_1', { ...filter, conditions: costly });
    put('rul_2', { ...filter, conditions: { field: 'data.a', operator: 'equals', value: 'x' } });
    look('git.push', { a: 'x' });
    look('git.push', { a: 'y' });
  });

  it('given once are not changed by what happens to the rules later', () => {
    const conditionsOn = (value: string) => ({ field: 'data.a', operator: 'equals', value });
    const filter = { eventSource: '*', eventType: 'git.push' };
    for (let n = 0; n < 40; n++) put(`rul_${n}`, { ...filter, conditions: conditionsOn('x') });
    const verdicts = table.evaluate(recorded('git.push', { a: 'y' }))!;
    const before = JSON.stringify([verdicts.sets, verdicts.failed]);
    for (let n = 0; n < 40; n += 2) table.apply(recorded('rule.archived', { ruleId: `rul_${n}` }));
    put('rul_1', { ...filter, conditions: conditionsOn('y') });
    expect(JSON.stringify([verdicts.sets, verdicts.failed])).toBe(before);
  });

  it('record a miss of five hundred rules in the space of a few', () => {
    const filter = { eventSource: '*', eventType: 'git.push' };
    for (let n = 0; n < 200; n++)
      put(`rul_${n}`, { ...filter, conditions: { field: 'data.a', operator: 'equals', value: `v${n}` } });
    const { sets, failed } = table.evaluate(recorded('git.push', { a: 'none' }))!;
    expect(JSON.stringify([sets.map(({ name }) => name), failed]).length).toBeLessThan(250);
  });
});
