import { type CompiledExpression, compile } from '#libs/expressions/src/compile.js';
import { ExpressionError } from '#libs/expressions/src/expression-error.js';
import { type Cost, isTruthy } from '#libs/expressions/src/values.js';
import { isObject } from '#libs/kernel/src/json.js';

import { excerpt, inWords } from './excerpt.js';
import { isOperator, operators, testOf, UnfitValue } from './operators.js';
import type { Problems } from './problems.js';

/** The condition that decided against a rule, and what it saw; values cut to what a decision keeps. */
export interface Failure {
  readonly pointer: string;
  readonly condition: string;
  readonly field: string;
  readonly actual: unknown;
  readonly expected: unknown;
}

/** One line of an explanation: a condition, or a group with its verdict. */
export interface TraceEntry {
  readonly pointer: string;
  readonly condition: string;
  readonly holds: boolean;
  readonly field?: string;
  readonly actual?: unknown;
  readonly expected?: unknown;
}

/** A condition or group, compiled. Throws nothing but Rejected `expression.too_costly`. */
export interface Condition {
  readonly pointer: string;
  /** In words. */
  readonly text: string;
  /** JMESPath that is looked at; empty for a group. */
  readonly field: string;
  readonly expected: unknown;
  /** What `field` is; a group has none. */
  look?(event: unknown, cost: Cost): unknown;
  /** `undefined` if it holds, else the first condition that did not. */
  check(event: unknown, cost: Cost): Failure | undefined;
  /** Every condition with its verdict, a group before its members. */
  trace(event: unknown, cost: Cost): readonly TraceEntry[];
}

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

/** What is compiled goes on, what is wrong is noted, so that one answer names every problem. */
export class ConditionCompiler {
  readonly expressions: ConditionExpression[] = [];
  private count = 0;

  constructor(private readonly problems: Problems) {}

  compile(json: unknown, pointer: string, depth = 0): Condition {
    if (++this.count === MAX_CONDITIONS + 1)
      this.problems.add(pointer, `a rule may have ${MAX_CONDITIONS} conditions.`, 'rule.too_large');
    if (this.count > MAX_CONDITIONS) return nothing(pointer);
    if (depth > MAX_CONDITION_DEPTH) {
      this.problems.add(pointer, `groups may be nested ${MAX_CONDITION_DEPTH} levels deep.`, 'rule.too_deep');
      return nothing(pointer);
    }
    if (!isObject(json)) {
      this.problems.add(
        pointer,
        'must be a condition ({ field, operator, value } or { expression }) or a group ({ all }, { any } or { not }).',
      );
      return nothing(pointer);
    }
    const groups = ['all', 'any', 'not'].filter((key) => Object.hasOwn(json, key));
    if (groups.length > 1) {
      this.problems.add(pointer, `has ${groups.join(' and ')}: put one into the other.`);
      return nothing(pointer);
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
      this.problems.add(at, 'must be an array of conditions.');
      return nothing(pointer);
    }
    if (members.length === 0 && kind === 'any')
      this.problems.add(at, 'is empty, so that the rule could never match: name at least one condition.');
    const conditions = members.map((member, index) => this.compile(member, `${at}/${index}`, depth + 1));
    return kind === 'all' ? all(conditions, pointer) : any(conditions, pointer);
  }

  private not(json: Record<string, unknown>, pointer: string, depth: number): Condition {
    this.problems.unknownKeys(json, ['not'], pointer);
    return not(this.compile(json['not'], `${pointer}/not`, depth + 1), pointer);
  }

  private expression(json: Record<string, unknown>, pointer: string): Condition {
    this.problems.unknownKeys(json, ['expression'], pointer);
    const compiled = this.jmespath(json['expression'], `${pointer}/expression`);
    if (!compiled) return nothing(pointer);
    return leaf(pointer, compiled.source, compiled, true, isTruthy);
  }

  private comparison(json: Record<string, unknown>, pointer: string): Condition {
    this.problems.unknownKeys(json, ['field', 'operator', 'value'], pointer);
    const { field, operator, value } = json;
    const compiled = this.jmespath(field, `${pointer}/field`);
    if (!isOperator(operator)) {
      this.problems.oneOf(operator, operators, `${pointer}/operator`);
      return nothing(pointer);
    }
    try {
      const test = testOf(operator, value);
      if (!compiled) return nothing(pointer);
      const text = `${compiled.source} ${operator}${value === undefined ? '' : ` ${inWords(value)}`}`;
      return leaf(pointer, text, compiled, value, test);
    } catch (error) {
      if (!(error instanceof UnfitValue)) throw error;
      this.problems.add(`${pointer}/value`, error.message);
      return nothing(pointer);
    }
  }

  private jmespath(source: unknown, pointer: string): CompiledExpression | undefined {
    if (typeof source !== 'string') {
      this.problems.add(pointer, source === undefined ? 'is missing.' : 'must be a JMESPath expression, as a string.');
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

/** Stands where a condition is wrong, until the rule is refused. */
const nothing = (pointer: string): Condition => all([], pointer);

/** The condition of a rule that has none. */
export const always: Condition = all([], '/conditions');

function leaf(
  pointer: string,
  text: string,
  expression: CompiledExpression,
  expected: unknown,
  test: (actual: unknown, cost: Cost) => boolean,
): Condition {
  const condition = text.length > 300 ? `${text.slice(0, 299)}…` : text;
  const field = expression.source;
  const wanted = excerpt(expected);
  return {
    pointer,
    text: condition,
    field,
    expected: wanted,
    look: (event, cost) => expression.evaluate(event, cost),
    check: (event, cost) => {
      const actual = expression.evaluate(event, cost);
      return test(actual, cost) ? undefined : { pointer, condition, field, actual: excerpt(actual), expected: wanted };
    },
    trace: (event, cost) => {
      const actual = expression.evaluate(event, cost);
      return [{ pointer, condition, holds: test(actual, cost), field, actual: excerpt(actual), expected: wanted }];
    },
  };
}

function all(members: readonly Condition[], pointer: string): Condition {
  const check = (event: unknown, cost: Cost): Failure | undefined => {
    for (const member of members) {
      const failure = member.check(event, cost);
      if (failure) return failure;
    }
    return undefined;
  };
  return group(pointer, 'all', members, check);
}

function any(members: readonly Condition[], pointer: string): Condition {
  const check = (event: unknown, cost: Cost): Failure | undefined => {
    let first: Failure | undefined;
    for (const member of members) {
      const failure = member.check(event, cost);
      if (!failure) return undefined;
      first ??= failure;
    }
    return first;
  };
  return group(pointer, 'any', members, check);
}

function group(
  pointer: string,
  kind: 'all' | 'any',
  members: readonly Condition[],
  check: Condition['check'],
): Condition {
  const text = `${kind} of ${members.length}`;
  return {
    pointer,
    text,
    field: '',
    expected: true,
    check,
    trace: (event, cost) => [
      { pointer, condition: text, holds: check(event, cost) === undefined },
      ...members.flatMap((member) => member.trace(event, cost)),
    ],
  };
}

function not(inner: Condition, pointer: string): Condition {
  const condition = `not (${inner.text})`;
  return {
    pointer,
    text: condition,
    field: inner.field,
    expected: inner.expected,
    check: (event, cost) =>
      inner.check(event, cost)
        ? undefined
        : {
            pointer,
            condition,
            field: inner.field,
            actual: inner.look ? excerpt(inner.look(event, cost)) : true,
            expected: { not: inner.expected },
          },
    trace: (event, cost) => [
      { pointer, condition: 'not', holds: inner.check(event, cost) !== undefined },
      ...inner.trace(event, cost),
    ],
  };
}
