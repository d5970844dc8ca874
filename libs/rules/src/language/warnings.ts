import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { hearsItself, heardAgain, RECORDED_OF_RULES, typesAfter } from '#libs/events/src/consequences.js';
import { literalCredentials } from '#libs/events/src/credentials.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import type { RuleDefinition, RuleWarning } from '#libs/events/src/shapes/rule-shape.js';
import { eventSchema } from '#libs/expressions/src/event-schema.js';
import { lint, type LintWarning } from '#libs/expressions/src/lint.js';
import { fieldOf, fieldsOf, type JsonSchema } from '#libs/expressions/src/schema.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import { unlikelySource } from '#libs/plugin-sdk/src/loading/unlikely-source.js';
import {
  isPlain,
  type OrganisationVocabulary,
  type ReferenceKind,
  referenceProblem,
  referencesOf,
} from '#libs/vocabulary/src/vocabulary.js';

import { builtInActions, isBuiltIn } from '../actions/built-in.js';
import type { ConditionExpression } from './condition-compiler.js';
import type { CompiledDefinition } from './definition.js';

/**
 * What is suspicious in a rule that is valid: fields that none of its event types has, above all, in conditions as well as
 * in the templates of actions and keys. What a sender's own `data.payload` holds is not known, and never warned about.
 */
export function warningsOf(
  definition: RuleDefinition,
  compiled: CompiledDefinition,
  vocabulary?: OrganisationVocabulary,
): RuleWarning[] {
  const types = (Object.keys(catalogue) as EventType[]).filter(compiled.matchesType);
  const own = [...(vocabulary?.eventTypes ?? [])].flatMap(([type, { schema }]) =>
    compiled.matchesType(type) ? [schema] : [],
  );
  const isKnown = types.length + own.length > 0;
  const schema = isKnown ? eventSchema(types, own) : undefined;
  return [
    ...suspiciousSource(definition.eventSource, vocabulary?.sources ?? []),
    ...(!isKnown ? [unknownType(definition.eventType, [...(vocabulary?.eventTypes.keys() ?? [])])] : []),
    ...(definition.actions.length === 0 ? [NO_ACTIONS] : []),
    ...compiled.expressions.flatMap((expression) => suspicions(expression, schema)),
    ...recursions(definition, compiled),
    ...(vocabulary ? unknownReferences(definition, compiled, vocabulary) : []),
    ...literalCredentials(definition.actions, '/actions').map(({ pointer, offset, detail }) => ({
      pointer,
      code: 'rule.literal_credential',
      message: detail,
      column: offset + 1,
    })),
    ...(schema ? impossibleValues(definition.conditions, schema) : []),
  ];
}

/** What actions name, and what the organisation does not have. */
function unknownReferences(
  { actions }: RuleDefinition,
  compiled: CompiledDefinition,
  vocabulary: OrganisationVocabulary,
): readonly RuleWarning[] {
  const warning = (kind: ReferenceKind, given: string, pointer: string, column?: number): readonly RuleWarning[] => {
    const problem = referenceProblem(kind, given, vocabulary);
    if (!problem) return [];
    return [{ pointer, code: problem.code, message: problem.detail, ...(column !== undefined && { column }) }];
  };
  return [
    ...actions.flatMap(({ type, with: given }, index) =>
      referencesIn(type).flatMap(([key, kind]) => {
        const value = (given as Readonly<Record<string, unknown>>)[key];
        return isPlain(value) ? warning(kind, value, `/actions/${index}/with/${key}`) : [];
      }),
    ),
    ...compiled.actions.flatMap(({ secrets }) =>
      secrets.flatMap(({ name, pointer, column }) => warning('secret', name, pointer, column)),
    ),
  ];
}

const referencesIn = (type: string) => (isBuiltIn(type) ? referencesOf(builtInActions[type].with) : []);

const NO_ACTIONS: RuleWarning = {
  pointer: '/actions',
  code: 'rule.no_actions',
  message: 'The rule decides, but does nothing: it has no actions.',
};

/** A rule that listens to what its own actions lead to. */
function recursions({ actions }: RuleDefinition, compiled: CompiledDefinition): readonly RuleWarning[] {
  if (actions.length === 0 || compiled.allowRecursion || !compiled.matchesSource(ENGINE)) return [];
  const follow = [...RECORDED_OF_RULES, ...actions.flatMap(({ type }) => typesAfter(type))];
  const types = heardAgain(compiled.matchesType, follow);
  if (types.length === 0) return [];
  return [{ pointer: '/eventType', code: 'rule.hears_itself', message: hearsItself('rule', types) }];
}

function suspiciousSource(eventSource: string, sources: readonly string[]): readonly RuleWarning[] {
  const message = unlikelySource(eventSource, sources);
  return message === undefined ? [] : [{ pointer: '/eventSource', code: 'rule.unlikely_source', message }];
}

function unknownType(eventType: string, own: readonly string[]): RuleWarning {
  const known = [...Object.keys(catalogue), ...own];
  return {
    pointer: '/eventType',
    code: 'rule.unknown_event_type',
    message: `No event type matches "${eventType}". ${suggestion(eventType, known)}Create it before events of it are published: millrace event-type create.`,
  };
}

/** Within a template the column is that of its whole text. */
function suspicions(
  { pointer, source, column: offset = 1 }: ConditionExpression,
  schema: JsonSchema | undefined,
): readonly RuleWarning[] {
  return lint(source, schema === undefined ? {} : { schema }).map((warning) => ({
    pointer,
    ...withoutData(warning, source, schema),
    column: warning.column + offset - 1,
  }));
}

/** `branch` for `data.branch` is the most frequent mistake, and no misspelling. */
function withoutData(warning: LintWarning, source: string, schema: JsonSchema | undefined): LintWarning {
  if (warning.code !== 'expression.unknown_field' || !schema) return warning;
  const name = /^\w+/.exec(source.slice(warning.column - 1))?.[0] ?? '';
  const isAtRoot = warning.message.includes(fieldsOf(schema).join(', '));
  const data = schema.properties!['data']!;
  if (!isAtRoot || fieldOf(data, name) === 'unknown') return warning;
  return {
    ...warning,
    message: `there is no field ${name} here. Did you mean "data.${name}"? The fields of the event are in data.`,
  };
}

/** A field by its path; what computes is not looked at. */
const PATH = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const OF_ONE = new Set(['equals', 'not_equals']);
const OF_SEVERAL = new Set(['in', 'not_in']);

interface Enumerated extends JsonSchema {
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

/** Conditions that compare a field with a value that it never has: `data.pullRequest.state equals "opened"`. */
export function impossibleValues(conditions: unknown, schema: JsonSchema): readonly RuleWarning[] {
  const warnings: RuleWarning[] = [];
  const visit = (condition: unknown, pointer: string): void => {
    if (!isObject(condition)) return;
    for (const key of ['all', 'any'])
      if (Array.isArray(condition[key]))
        condition[key].forEach((member, index) => visit(member, `${pointer}/${key}/${index}`));
    visit(condition['not'], `${pointer}/not`);
    const { field, operator, value } = condition;
    if (typeof field !== 'string' || typeof operator !== 'string' || !PATH.test(field)) return;
    const several = OF_SEVERAL.has(operator) && Array.isArray(value);
    if (!several && !OF_ONE.has(operator)) return;
    const allowed = valuesAt(field, schema);
    if (!allowed) return;
    const given: readonly unknown[] = several ? (value as unknown[]) : [value];
    given.forEach((one, index) => {
      if (one === null || allowed.includes(one)) return;
      warnings.push({
        pointer: `${pointer}/value${several ? `/${pointerToken(index)}` : ''}`,
        code: 'rule.impossible_value',
        message: `${field} is never ${stringifyJson(one)}. ${typeof one === 'string' ? suggestion(one, allowed.map(String)) : ''}It is one of ${allowed.map((each) => stringifyJson(each)).join(', ')}.`,
      });
    });
  };
  visit(conditions, '/conditions');
  return warnings;
}

/** Every value that a field can have, where the schema lists them. */
function valuesAt(path: string, schema: JsonSchema): readonly unknown[] | undefined {
  let at: JsonSchema | undefined = schema;
  for (const name of path.split('.')) {
    const next: JsonSchema | undefined | 'unknown' = fieldOf(at, name);
    if (next === undefined || next === 'unknown') return undefined;
    at = next;
  }
  return valuesOf(at);
}

function valuesOf(schema: Enumerated): readonly unknown[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum) return schema.enum;
  if (schema.type === 'boolean') return [true, false];
  if (!schema.anyOf || schema.anyOf.length === 0) return undefined;
  const each = schema.anyOf.map(valuesOf);
  return each.every((values) => values !== undefined) ? [...new Set(each.flat())] : undefined;
}
