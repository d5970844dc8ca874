import type { Static } from '@sinclair/typebox';

import { typeMatcher, globMatcher } from '#libs/events/src/patterns.js';
import type { RuleDefinition as Schema } from '#libs/events/src/rule.events.js';
import { compileTemplate, type CompiledTemplate } from '#libs/expressions/src/template.js';
import { tryParseDuration } from '#libs/kernel/src/durations.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { remember } from '#libs/kernel/src/remember.js';

import { compileAction, type CompiledAction, MAX_ACTIONS } from './actions.js';
import { always, ConditionCompiler, type ConditionExpression } from './condition-compiler.js';
import type { Condition } from './condition.js';
import { compileOpeningHours, type OpeningHours } from './opening-hours.js';
import { checkPluginActions, type KnownActions, NO_ACTIONS } from './plugin-actions.js';
import { Problems } from './problems.js';

/** A rule as its author wrote it, checked. */
export type RuleDefinition = Static<typeof Schema>;

/** A definition turned into functions. Immutable. */
export interface CompiledDefinition {
  readonly matchesSource: (source: string) => boolean;
  readonly matchesType: (type: string) => boolean;
  readonly condition: Condition;
  readonly actions: readonly CompiledAction[];
  readonly throttle: CompiledThrottle | undefined;
  readonly burst: CompiledBurst | undefined;
  readonly window: OpeningHours | undefined;
  /** Every expression over the event, for the linter. */
  readonly expressions: readonly ConditionExpression[];
}

/** At most `limit` matches in `perMs` for each value of the key. */
export interface CompiledThrottle {
  readonly key: CompiledTemplate | undefined;
  readonly limit: number;
  readonly per: string;
  readonly perMs: number;
}

/** Of matches with the same key that follow each other within `quietMs` one alone. */
export interface CompiledBurst {
  /** Of `once` the first, of `debounce` the last. */
  readonly kind: 'once' | 'debounce';
  readonly key: CompiledTemplate | undefined;
  readonly quiet: string;
  readonly quietMs: number;
  /** A burst of `debounce` ends so long after its first match, whatever comes. */
  readonly maxWaitMs: number;
}

export interface CheckedRule {
  readonly definition: RuleDefinition;
  readonly enabled: boolean;
  readonly compiled: CompiledDefinition;
}

/** Most bytes of a rule as JSON. */
export const MAX_RULE_BYTES = 64 * 1024;
const MAX_NAME_LENGTH = 200;
const MAX_PERIOD_MS = 30 * 24 * 3_600_000;
/** What holds back a match; each may stand alone. */
const FLOW_KEYS = ['window', 'once', 'debounce', 'throttle'] as const;
const KEYS = ['name', 'description', 'enabled', 'eventSource', 'eventType', 'conditions', 'actions', ...FLOW_KEYS];

/**
 * Checks a rule as it comes from outside.
 * @param known the actions of plug-ins that it may name.
 * @throws Rejected `rule.invalid` with a problem, by JSON pointer, for everything that is wrong.
 */
export function checkRule(json: unknown, known: KnownActions = NO_ACTIONS): CheckedRule {
  const problems = new Problems();
  if (!isObject(json)) throw new Rejected('invalid', 'rule.invalid', 'A rule is a JSON object.', noObject);
  const bytes = Buffer.byteLength(JSON.stringify(json));
  if (bytes > MAX_RULE_BYTES)
    throw new Rejected('invalid', 'rule.too_large', `The rule has ${bytes} bytes; ${MAX_RULE_BYTES} are allowed.`);
  problems.unknownKeys(json, KEYS, '');
  problems.text(json['name'], '/name', MAX_NAME_LENGTH);
  const description = json['description'];
  if (description !== undefined) problems.text(description, '/description', 2_000);
  const enabled = json['enabled'] ?? true;
  if (typeof enabled !== 'boolean') problems.add('/enabled', 'must be true or false.');
  const definition = {
    name: json['name'],
    ...(description !== undefined && { description }),
    eventSource: json['eventSource'] ?? '*',
    eventType: json['eventType'],
    ...(json['conditions'] !== undefined && { conditions: json['conditions'] }),
    actions: json['actions'] ?? [],
    ...Object.fromEntries(FLOW_KEYS.filter((key) => json[key] !== undefined).map((key) => [key, json[key]])),
  };
  const compiled = compile(definition, problems);
  checkPluginActions(definition.actions, known, problems);
  problems.throwIfAny('rule.invalid', 'The rule is not valid');
  return { definition: normalised(definition as RuleDefinition), enabled: enabled as boolean, compiled };
}

const noObject = { problems: [{ pointer: '', detail: 'must be an object.' }] };

/** Actions always have `with`. */
const normalised = (definition: RuleDefinition): RuleDefinition => ({
  ...definition,
  actions: definition.actions.map(({ type, with: given }) => ({ type, with: given ?? {} })),
});

/** Compiles a definition that was checked when it was saved. @throws Rejected if the rules for rules became stricter. */
export function compileDefinition(definition: RuleDefinition): CompiledDefinition {
  const problems = new Problems();
  const compiled = compile(definition, problems);
  problems.throwIfAny('rule.invalid', 'The rule is no longer valid: save it again');
  return compiled;
}

function compile(given: { readonly [key in keyof RuleDefinition]?: unknown }, problems: Problems): CompiledDefinition {
  const conditions = new ConditionCompiler(problems);
  const condition = given.conditions === undefined ? always : conditions.compile(given.conditions, '/conditions');
  const throttle = given.throttle === undefined ? undefined : compileThrottle(given.throttle, problems);
  if (given.once !== undefined && given.debounce !== undefined)
    problems.add('/debounce', 'cannot stand beside once: the one lets the first of a burst act, the other the last.');
  const kind = given.once === undefined ? 'debounce' : 'once';
  const burst = given[kind] === undefined ? undefined : compileBurst(kind, given[kind], problems);
  const window = given.window === undefined ? undefined : compileOpeningHours(given.window, '/window', problems);
  // Anything may stand here until the problems are thrown; not everything can be made a text.
  const name = typeof given.name === 'string' ? given.name : '';
  const actions = compileActions(given.actions, name, problems);
  const inTemplates = [
    ...actions.flatMap((action) => action.templates),
    ...(throttle?.key?.expressions ?? []),
    ...(burst?.key?.expressions ?? []),
  ];
  return {
    matchesSource: pattern(given.eventSource, '/eventSource', problems, anything),
    matchesType: pattern(given.eventType, '/eventType', problems, anyOfType),
    condition,
    actions,
    throttle,
    burst,
    window,
    expressions: [
      ...conditions.expressions,
      ...inTemplates.map(({ pointer, column, expression }) => ({ pointer, column, source: expression.source })),
    ],
  };
}

// Ten thousand rules name a few dozen sources and types.
const anything = remember((source) => (source === '*' ? () => true : globMatcher(source)));
const anyOfType = remember((type) => typeMatcher([type]));

function pattern(
  given: unknown,
  pointer: string,
  problems: Problems,
  matcher: (text: string) => (text: string) => boolean,
): (text: string) => boolean {
  if (!problems.text(given, pointer, 200)) return () => false;
  if (!/^[\w.*:/@-]+$/.test(given))
    problems.add(pointer, 'may hold letters, digits, and . * _ - : / @, such as git.push, pr.* or *.');
  return matcher(given);
}

function compileActions(given: unknown, rule: string, problems: Problems): readonly CompiledAction[] {
  if (!Array.isArray(given)) {
    problems.add('/actions', 'must be an array of actions.');
    return [];
  }
  if (given.length > MAX_ACTIONS) {
    problems.add('/actions', `has ${given.length} actions; ${MAX_ACTIONS} are allowed.`, 'rule.too_large');
    return [];
  }
  return given
    .map((action, index) => compileAction(action, `/actions/${index}`, rule, problems))
    .filter((action) => action !== undefined);
}

function compileThrottle(given: unknown, problems: Problems): CompiledThrottle | undefined {
  if (!isObject(given)) {
    problems.add('/throttle', 'must be an object: { key?, limit, per }.');
    return undefined;
  }
  problems.unknownKeys(given, ['key', 'limit', 'per'], '/throttle');
  const { key, limit, per } = given;
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > 1_000_000)
    problems.add('/throttle/limit', 'must be a whole number from 1 to 1000000.');
  const perMs = duration(per, '/throttle/per', problems);
  return { key: keyTemplate(key, '/throttle/key', problems), limit: limit as number, per: String(per), perMs };
}

function compileBurst(kind: CompiledBurst['kind'], given: unknown, problems: Problems): CompiledBurst | undefined {
  const more = kind === 'debounce' ? ['maxWait'] : [];
  if (!isObject(given)) {
    problems.add(
      `/${kind}`,
      `must be an object: { ${['key?', 'quiet', ...more.map((key) => `${key}?`)].join(', ')} }.`,
    );
    return undefined;
  }
  problems.unknownKeys(given, ['key', 'quiet', ...more], `/${kind}`);
  const { key, quiet, maxWait } = given;
  const quietMs = duration(quiet, `/${kind}/quiet`, problems);
  const maxWaitMs = maxWait === undefined ? Infinity : duration(maxWait, `/${kind}/maxWait`, problems);
  if (maxWaitMs < quietMs) problems.add(`/${kind}/maxWait`, `must not be shorter than quiet (${String(quiet)}).`);
  return { kind, key: keyTemplate(key, `/${kind}/key`, problems), quiet: String(quiet), quietMs, maxWaitMs };
}

function duration(given: unknown, pointer: string, problems: Problems): number {
  const ms = typeof given === 'string' ? tryParseDuration(given) : undefined;
  if (ms !== undefined && ms >= 1 && ms <= MAX_PERIOD_MS) return ms;
  problems.add(pointer, 'must be a duration from 1ms to 30d, such as 10m.');
  return 0;
}

function keyTemplate(given: unknown, pointer: string, problems: Problems): CompiledTemplate | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== 'string') {
    problems.add(pointer, 'must be a string, such as "${{ data.payload.host }}".');
    return undefined;
  }
  try {
    return compileTemplate(given, pointer);
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    for (const problem of error.problems) problems.add(problem.pointer, problem.detail, problem.code);
    return undefined;
  }
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
