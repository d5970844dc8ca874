import { includes } from '#libs/expressions/src/includes.js';
import { isScalar } from '#libs/expressions/src/path.js';
import { type Cost, isEqual, order } from '#libs/expressions/src/values.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { isNumber, scalarKey } from '#libs/kernel/src/text/exact-json.js';
import { parseDateTime } from '#libs/kernel/src/time/times.js';

import { compilePattern, type Pattern } from './pattern.js';

/** Whether a value that was seen is as a condition wants it. Never throws but `expression.too_costly`. */
export type Test = (actual: unknown, cost: Cost) => boolean;

/** Why a condition's value does not fit its operator. */
export class InvalidOperand extends Error {}

/** Most characters, and most instructions, of a regular expression. */
const MAX_PATTERN_LENGTH = 1_000;
const MAX_PROGRAM_SIZE = 2_000;

type Compile = (expected: unknown) => Test;

const negated =
  (compile: Compile): Compile =>
  (expected) => {
    const test = compile(expected);
    return (actual, cost) => !test(actual, cost);
  };

const equals: Compile = (expected) => (actual, cost) => isEqual(actual, expected, cost);

const oneOf: Compile = (expected) => {
  if (!Array.isArray(expected)) throw new InvalidOperand('Must be a list of allowed values.');
  const values: readonly unknown[] = expected;
  const simple = new Set(values.filter(isScalar).map(scalarKey));
  const deep = values.filter((value) => !isScalar(value));
  return (actual, cost) => simple.has(scalarKey(actual ?? null)) || deep.some((value) => isEqual(actual, value, cost));
};

/** A part of a text, or an element of an array. */
const contains: Compile = (expected) => (actual, cost) => {
  if (typeof actual === 'string') return typeof expected === 'string' && includes(actual, expected, cost);
  return Array.isArray(actual) && actual.some((item) => (cost.spend(1), isEqual(item, expected, cost)));
};

const ofText =
  (test: (actual: string, expected: string) => boolean): Compile =>
  (expected) => {
    if (typeof expected !== 'string') throw new InvalidOperand('Must be a string.');
    return (actual, cost) => {
      if (typeof actual !== 'string') return false;
      cost.spendComparison(expected.length);
      return test(actual, expected);
    };
  };

/** Milliseconds of a point in time, so that times in different zones compare as times. */
const timeOf = (value: unknown): number | undefined =>
  typeof value === 'string' && value.length <= 40 ? parseDateTime(value)?.getTime() : undefined;

const ordered =
  (test: (difference: number) => boolean): Compile =>
  (expected) => {
    if (!isNumber(expected) && typeof expected !== 'string')
      throw new InvalidOperand('Must be a number, a string or a time.');
    const time = timeOf(expected);
    return (actual, cost) => {
      const actualTime = time === undefined ? undefined : timeOf(actual);
      const difference = actualTime === undefined ? order(actual, expected, cost) : actualTime - time!;
      return difference !== undefined && test(difference);
    };
  };

const matches: Compile = (expected) => {
  if (typeof expected !== 'string') throw new InvalidOperand('Must be a regular expression, as a string.');
  if (expected.length > MAX_PATTERN_LENGTH)
    throw new InvalidOperand(
      `Must be a pattern of at most ${MAX_PATTERN_LENGTH} characters. It has ${expected.length}.`,
    );
  const pattern = patternOf(expected);
  if (pattern.size > MAX_PROGRAM_SIZE)
    throw new InvalidOperand(
      `Must be a smaller pattern: it has ${pattern.size} instructions, at most ${MAX_PROGRAM_SIZE} are allowed. Repeat less.`,
    );
  return (actual, cost) => typeof actual === 'string' && pattern.findsIn(actual, cost);
};

function patternOf(text: string): Pattern {
  try {
    return compilePattern(text);
  } catch (error) {
    throw new InvalidOperand(messageOf(error));
  }
}

const exists: Compile = (expected) => {
  if (expected !== undefined) throw new InvalidOperand('Must be left out: exists and not_exists take no value.');
  return (actual) => actual !== null && actual !== undefined;
};

const valueNeeded =
  (compile: Compile): Compile =>
  (expected) => {
    if (expected === undefined) throw new InvalidOperand('"value" is required.');
    return compile(expected);
  };

const OPERATORS = {
  equals: valueNeeded(equals),
  not_equals: valueNeeded(negated(equals)),
  in: valueNeeded(oneOf),
  not_in: valueNeeded(negated(oneOf)),
  contains: valueNeeded(contains),
  not_contains: valueNeeded(negated(contains)),
  starts_with: valueNeeded(ofText((actual, expected) => actual.startsWith(expected))),
  ends_with: valueNeeded(ofText((actual, expected) => actual.endsWith(expected))),
  matches: valueNeeded(matches),
  gt: valueNeeded(ordered((difference) => difference > 0)),
  gte: valueNeeded(ordered((difference) => difference >= 0)),
  lt: valueNeeded(ordered((difference) => difference < 0)),
  lte: valueNeeded(ordered((difference) => difference <= 0)),
  exists,
  not_exists: negated(exists),
} as const satisfies Record<string, Compile>;

export type Operator = keyof typeof OPERATORS;
export const operators = Object.keys(OPERATORS) as readonly Operator[];
export const isOperator = (name: unknown): name is Operator =>
  typeof name === 'string' && Object.hasOwn(OPERATORS, name);

/** @throws InvalidOperand */
export const testOf = (operator: Operator, expected: unknown): Test => OPERATORS[operator](expected);
