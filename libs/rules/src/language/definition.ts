import type { Static } from '@sinclair/typebox';

import { typeMatcher, globMatcher } from '#libs/events/src/patterns.js';
import { withDefaults } from '#libs/events/src/shapes/fields.js';
import { type RuleAction, type RuleDefinition, ruleFields, RuleShape } from '#libs/events/src/shapes/rule-shape.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { compileTemplate, type CompiledTemplate } from '#libs/expressions/src/template.js';
import type { BurstControl, Throttle } from '#libs/flow/src/controls.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';
import { remember } from '#libs/kernel/src/remember.js';

import { compileAction, type CompiledAction } from '../actions/compile-action.js';
import { checkPluginActions, type KnownActions, NO_ACTIONS } from '../actions/plugin-actions.js';
import { always, ConditionCompiler, type ConditionExpression } from './condition-compiler.js';
import type { Condition } from './condition.js';
import { compileOpeningHours, type OpeningHours } from './opening-hours.js';

/** A definition turned into functions. Immutable. */
export interface CompiledDefinition {
  readonly matchesSource: (source: string) => boolean;
  readonly matchesType: (type: string) => boolean;
  readonly condition: Condition;
  readonly actions: readonly CompiledAction[];
  readonly throttle: CompiledThrottle | undefined;
  readonly burst: CompiledBurst | undefined;
  readonly window: OpeningHours | undefined;
  readonly allowRecursion: boolean;
  /** Every expression over the event, for the linter. */
  readonly expressions: readonly ConditionExpression[];
}

export interface CompiledThrottle extends Throttle {
  readonly key: CompiledTemplate | undefined;
}

export interface CompiledBurst extends BurstControl {
  readonly key: CompiledTemplate | undefined;
}

export interface CheckedRule {
  readonly definition: RuleDefinition;
  readonly enabled: boolean;
  readonly compiled: CompiledDefinition;
}

/** Most bytes of a rule as JSON. */
export const MAX_RULE_BYTES = 64 * 1024;
const MAX_PERIOD_MS = 30 * 24 * 3_600_000;

/**
 * Checks a rule that was sent.
 * @param known the actions of plug-ins that it may name.
 * @throws Rejected `rule.invalid` with a problem, by JSON pointer, for everything that is wrong.
 */
export function checkRule(json: unknown, known: KnownActions = NO_ACTIONS): CheckedRule {
  const bytes = Buffer.byteLength(stringifyJson(json) ?? '');
  if (bytes > MAX_RULE_BYTES)
    throw new Rejected(
      'invalid',
      'rule.too_large',
      `A rule must not have more than ${MAX_RULE_BYTES} bytes as JSON. This one has ${bytes}.`,
    );
  const problems = new Problems('rule');
  problems.addAll(shapeProblems(RuleShape, json, { prefix: 'rule' }));
  const { enabled, ...given } = withDefaults(ruleFields, isObject(json) ? json : {});
  const compiled = compile(given, problems);
  checkPluginActions(given.actions, known, problems);
  problems.throwIfAny('rule.invalid', 'The rule is invalid');
  // An action always has `with`.
  const actions = given.actions.map(({ type, with: parts = {} }) => ({ type, with: parts }));
  return { definition: { ...given, actions }, enabled, compiled };
}

/** Compiles a definition that was checked when it was saved. @throws Rejected if the rules for rules became stricter. */
export function compileDefinition(definition: RuleDefinition): CompiledDefinition {
  const problems = new Problems('rule');
  // Keys that are unknown here were saved by a newer version of this program.
  problems.addAll(shapeProblems(RuleShape, definition, { prefix: 'rule' }).filter(({ isKey }) => !isKey));
  const compiled = compile(definition, problems);
  problems.throwIfAny('rule.invalid', 'The rule is no longer valid: save it again');
  return compiled;
}

/** `with` may be left out of an action. */
type Given = Omit<RuleDefinition, 'actions'> & { readonly actions: readonly Static<typeof RuleAction>[] };

/**
 * Compiles whatever has the right shape, and notes what is wrong with it beyond that.
 * @param problems what is wrong with its shape already.
 */
function compile(given: Given, problems: Problems): CompiledDefinition {
  const conditions = new ConditionCompiler(problems);
  const condition = given.conditions === undefined ? always : conditions.compile(given.conditions, '/conditions');
  const part = <K extends keyof Given, T>(key: K, from: (value: NonNullable<Given[K]>) => T) => {
    const value = problems.part(given, key);
    return value === undefined ? undefined : from(value);
  };
  const throttle = part('throttle', (value) => compileThrottle(value, problems));
  if (given.once !== undefined && given.debounce !== undefined)
    problems.add(
      '/debounce',
      'Must not be used together with once: once acts on the first of a burst, debounce on the last.',
    );
  const burst =
    part('once', (value) => compileBurst('once', value, problems)) ??
    part('debounce', (value) => compileBurst('debounce', value, problems));
  const window = part('window', (value) => compileOpeningHours(value, '/window', problems));
  const name = part('name', (value) => value) ?? '';
  const each: Given['actions'] = Array.isArray(given.actions) ? given.actions : [];
  const actions = each.flatMap((action, index) => {
    const pointer = `/actions/${index}`;
    return problems.isFine(pointer) ? (compileAction(action, pointer, name, problems) ?? []) : [];
  });
  const inTemplates = [
    ...actions.flatMap((action) => action.templates),
    ...(throttle?.key?.expressions ?? []),
    ...(burst?.key?.expressions ?? []),
  ];
  return {
    matchesSource: part('eventSource', matcherOfSource) ?? never,
    matchesType: part('eventType', matcherOfType) ?? never,
    condition,
    actions,
    throttle,
    burst,
    window,
    allowRecursion: given.allowRecursion === true,
    expressions: [
      ...conditions.expressions,
      ...inTemplates.map(({ pointer, column, expression }) => ({ pointer, column, source: expression.source })),
    ],
  };
}

// Ten thousand rules name a few dozen sources and types.
const matcherOfSource = remember((source) => (source === '*' ? () => true : globMatcher(source)));
const matcherOfType = remember((type) => typeMatcher([type]));
const never = () => false;

function compileThrottle(
  { key, limit, per }: NonNullable<RuleDefinition['throttle']>,
  problems: Problems,
): CompiledThrottle {
  return {
    key: keyTemplate(key, '/throttle/key', problems),
    limit,
    per,
    perMs: milliseconds(per, '/throttle/per', problems),
  };
}

function compileBurst(
  kind: CompiledBurst['kind'],
  { key, quiet, maxWait }: NonNullable<RuleDefinition['debounce']>,
  problems: Problems,
): CompiledBurst {
  const quietMs = milliseconds(quiet, `/${kind}/quiet`, problems);
  const maxWaitMs = maxWait === undefined ? Infinity : milliseconds(maxWait, `/${kind}/maxWait`, problems);
  if (maxWaitMs < quietMs) problems.add(`/${kind}/maxWait`, `Must not be shorter than quiet (${quiet}).`);
  return { kind, key: keyTemplate(key, `/${kind}/key`, problems), quiet, quietMs, maxWaitMs };
}

function milliseconds(duration: string, pointer: string, problems: Problems): number {
  const ms = tryParseDuration(duration);
  if (ms !== undefined && ms >= 1 && ms <= MAX_PERIOD_MS) return ms;
  problems.add(pointer, 'Must be a duration from 1ms to 30d, such as 10m.');
  return 0;
}

function keyTemplate(key: string | undefined, pointer: string, problems: Problems): CompiledTemplate | undefined {
  return key === undefined ? undefined : problems.attempt(() => compileTemplate(key, pointer));
}

/** The rule, its problems with pointers into the body that it is a part of. @throws Rejected `rule.invalid` */
export function checkedAt(pointer: string, rule: unknown, known: KnownActions): CheckedRule {
  try {
    return checkRule(rule, known);
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    throw new Rejected(error.kind, error.code, error.message, {
      problems: error.problems.map((problem) => ({ ...problem, pointer: pointer + problem.pointer })),
    });
  }
}
