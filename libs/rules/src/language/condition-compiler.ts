import { type CompiledExpression, compile } from '#libs/expressions/src/compile.js';
import { ExpressionError } from '#libs/expressions/src/expression-error.js';
import { isScalar, leadingEqualities, type Path, pathOf } from '#libs/expressions/src/path.js';
import { isTruthy } from '#libs/expressions/src/values.js';
import { isObject } from '#libs/kernel/src/json.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import { remember } from '#libs/kernel/src/remember.js';

import { type Condition, GroupCondition, type IndexableTest, LeafCondition, NotCondition } from './condition.js';
import { isOperator, type Operator, operators, testOf, InvalidOperand } from './operators.js';

/** An expression of a condition or template, for the linter. */
export interface ConditionExpression {
  readonly pointer: string;
  readonly source: string;
  /** Where it begins in its text, from 1; absent where it is the whole text. */
  readonly column?: number;
}

/** Most levels of groups, and most conditions, of one rule. */
export const MAX_CONDITION_DEPTH = 32;
export const MAX_CONDITIONS = 500;

/** Pointers repeat in ten thousand rules. */
const interned = remember((text) => text);

/** Compiles what is right and notes what is wrong, so that one answer names every problem. */
export class ConditionCompiler {
  readonly expressions: ConditionExpression[] = [];
  private count = 0;

  constructor(private readonly problems: Problems) {}

  compile(json: unknown, place: string, depth = 0): Condition {
    const pointer = interned(place);
    if (++this.count === MAX_CONDITIONS + 1)
      this.problems.add(pointer, `A rule must not have more than ${MAX_CONDITIONS} conditions.`, 'rule.too_large');
    if (this.count > MAX_CONDITIONS) return placeholder(pointer);
    if (depth > MAX_CONDITION_DEPTH) {
      this.problems.add(
        pointer,
        `Groups must not be nested more than ${MAX_CONDITION_DEPTH} levels deep.`,
        'rule.too_deep',
      );
      return placeholder(pointer);
    }
    if (!isObject(json)) {
      this.problems.add(
        pointer,
        'Must be a condition ({ field, operator, value } or { expression }) or a group ({ all }, { any } or { not }).',
      );
      return placeholder(pointer);
    }
    const groups = ['all', 'any', 'not'].filter((key) => Object.hasOwn(json, key));
    if (groups.length > 1) {
      this.problems.add(pointer, `Must not have both ${groups.join(' and ')}: nest one in the other.`);
      return placeholder(pointer);
    }
    if (Object.hasOwn(json, 'not')) return this.not(json, pointer, depth);
    if (groups.length === 1) return this.group(json, groups[0] as 'all' | 'any', pointer, depth);
    if (Object.hasOwn(json, 'expression')) return this.expression(json, pointer);
    return this.comparison(json, pointer);
  }

  private group(json: Record<string, unknown>, kind: 'all' | 'any', pointer: string, depth: number): Condition {
    this.problems.unknownKeys(json, [kind], pointer);
    const members = json[kind];
    const at = `${pointer}/${kind}`;
    if (!Array.isArray(members)) {
      this.problems.add(at, 'Must be a list of conditions.');
      return placeholder(pointer);
    }
    if (members.length === 0 && kind === 'any')
      this.problems.add(at, 'Must have at least one condition: with none the rule never matches.');
    const conditions = members.map((member, index) => this.compile(member, `${at}/${index}`, depth + 1));
    return new GroupCondition(kind, conditions, pointer);
  }

  private not(json: Record<string, unknown>, pointer: string, depth: number): Condition {
    this.problems.unknownKeys(json, ['not'], pointer);
    return new NotCondition(this.compile(json['not'], `${pointer}/not`, depth + 1), pointer);
  }

  private expression(json: Record<string, unknown>, pointer: string): Condition {
    this.problems.unknownKeys(json, ['expression'], pointer);
    const compiled = this.jmespath(json['expression'], `${pointer}/expression`);
    if (!compiled) return placeholder(pointer);
    const leading = leadingEqualities(compiled.source).map(({ path, value }): IndexableTest => ({
      pointer,
      path,
      accepts: [value],
      seesFalse: true,
    }));
    return new LeafCondition({ pointer, expression: compiled, value: true, test: isTruthy, leading });
  }

  private comparison(json: Record<string, unknown>, pointer: string): Condition {
    this.problems.unknownKeys(json, ['field', 'operator', 'value'], pointer);
    const { field, operator, value } = json;
    const compiled = this.jmespath(field, `${pointer}/field`);
    if (!isOperator(operator)) {
      this.problems.oneOf(operator, operators, `${pointer}/operator`);
      return placeholder(pointer);
    }
    try {
      const test = testOf(operator, value);
      if (!compiled) return placeholder(pointer);
      const path = pathOf(compiled.source);
      const leading = comparisonOf(pointer, path, operator, value);
      return new LeafCondition({ pointer, expression: compiled, operator, value, test, leading, path });
    } catch (error) {
      if (!(error instanceof InvalidOperand)) throw error;
      this.problems.add(`${pointer}/value`, error.message);
      return placeholder(pointer);
    }
  }

  private jmespath(source: unknown, pointer: string): CompiledExpression | undefined {
    if (typeof source !== 'string') {
      const wanted = 'a JMESPath expression, as a string';
      if (source === undefined) this.problems.required(pointer, wanted);
      else this.problems.add(pointer, `Must be ${wanted}.`);
      return undefined;
    }
    try {
      const compiled = compile(source);
      this.expressions.push({ pointer, source });
      return compiled;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.problems.add(pointer, error.message, error.code);
      return undefined;
    }
  }
}

/** In place of a condition that is wrong, until the rule is refused. */
const placeholder = (pointer: string): Condition => new GroupCondition('all', [], pointer);

/** The condition of a rule that has none. */
export const always: Condition = new GroupCondition('all', [], '/conditions');

/** An equality with something that can be looked up. */
function comparisonOf(
  pointer: string,
  path: Path | undefined,
  operator: Operator,
  value: unknown,
): readonly IndexableTest[] {
  const values: readonly unknown[] = operator === 'equals' ? [value] : operator === 'in' ? (value as unknown[]) : [];
  if (!path || values.length === 0 || !values.every(isScalar)) return [];
  return [{ pointer, path, accepts: values, seesFalse: false }];
}
