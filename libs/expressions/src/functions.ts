import { ExactNumber, isExactNumber, isNumber, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Node } from './ast.js';
import { includes } from './includes.js';
import { type Cost, isArray, isEqual, isRecord, order, setOwn, typeOf, weigh } from './values.js';

/** An argument that is an expression, to be evaluated for each element. */
export type Reference = (value: unknown) => unknown;

interface FunctionDefinition {
  /** What each argument is. */
  readonly args: readonly ('value' | 'reference')[];
  /** Whether the last argument may be repeated. */
  readonly variadic?: true;
  /** Never throws on the kind of its arguments: what makes no sense is `null`, and `false` for a question. */
  readonly call: (args: readonly unknown[], cost: Cost) => unknown;
}

const numeric =
  (compute: (value: number) => number) =>
  ([value]: readonly unknown[]) =>
    isNumber(value) ? finite(compute(Number(value))) : null;

/** A number beyond what JavaScript holds exactly has no fraction, unless it is written with one. */
const rounded =
  (compute: (value: number) => number) =>
  ([value]: readonly unknown[]) =>
    isExactNumber(value) && !/[.eE]/.test(value.text) ? value : numeric(compute)([value]);

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

const areNumbers = (values: readonly unknown[]): values is readonly (number | ExactNumber)[] => values.every(isNumber);
const areStrings = (values: readonly unknown[]): values is readonly string[] =>
  values.every((value) => typeof value === 'string');

/** The array, if all its elements have one order among themselves. */
function comparable(value: unknown, cost: Cost): readonly (string | number | ExactNumber)[] | undefined {
  if (!isArray(value)) return undefined;
  cost.spend(value.length);
  return areNumbers(value) || areStrings(value) ? value : undefined;
}

/** Keys of all elements, if they have one order among themselves. */
function keysBy(
  values: unknown,
  reference: unknown,
  cost: Cost,
): readonly (string | number | ExactNumber)[] | undefined {
  if (!isArray(values)) return undefined;
  return comparable(
    values.map((value) => (reference as Reference)(value ?? null)),
    cost,
  );
}

const extreme =
  (sign: 1 | -1) =>
  ([values]: readonly unknown[], cost: Cost): unknown => {
    const given = comparable(values, cost);
    if (!given || given.length === 0) return null;
    return given.reduce((best, value) => (order(value, best, cost)! * sign > 0 ? value : best));
  };

const extremeBy =
  (sign: 1 | -1) =>
  ([values, reference]: readonly unknown[], cost: Cost): unknown => {
    const keys = keysBy(values, reference, cost);
    if (!keys || keys.length === 0) return null;
    let best = 0;
    for (let i = 1; i < keys.length; i++) if (order(keys[i], keys[best], cost)! * sign > 0) best = i;
    return (values as readonly unknown[])[best];
  };

function sum([values]: readonly unknown[], cost: Cost): number | null {
  if (!isArray(values)) return null;
  cost.spend(values.length);
  if (!areNumbers(values)) return null;
  return finite(values.reduce<number>((total, value) => total + Number(value), 0));
}

function length(value: unknown, cost: Cost): number | null {
  if (typeof value === 'string') {
    cost.spendText(value.length);
    let points = 0;
    for (const _ of value) points++;
    return points;
  }
  if (isArray(value)) return value.length;
  if (!isRecord(value)) return null;
  const keys = Object.keys(value);
  cost.spend(keys.length);
  return keys.length;
}

function toText(value: unknown, cost: Cost): string {
  if (typeof value === 'string') return value;
  weigh(value, cost);
  return stringifyJson(value ?? null);
}

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;

/** The functions of JMESPath. */
const FUNCTIONS: Readonly<Record<string, FunctionDefinition>> = {
  abs: {
    args: ['value'],
    call: ([value]) =>
      isExactNumber(value) ? new ExactNumber(value.text.replace('-', '')) : numeric(Math.abs)([value]),
  },
  avg: {
    args: ['value'],
    call: (args, cost) => {
      const total = sum(args, cost);
      const count = (args[0] as readonly unknown[] | null)?.length ?? 0;
      return total === null || count === 0 ? null : total / count;
    },
  },
  ceil: { args: ['value'], call: rounded(Math.ceil) },
  contains: {
    args: ['value', 'value'],
    call: ([subject, search], cost) => {
      if (typeof subject === 'string') return typeof search === 'string' && includes(subject, search, cost);
      return isArray(subject) && subject.some((item) => (cost.spend(1), isEqual(item, search, cost)));
    },
  },
  ends_with: {
    args: ['value', 'value'],
    call: ([subject, suffix], cost) => {
      if (typeof subject !== 'string' || typeof suffix !== 'string') return false;
      cost.spendComparison(suffix.length);
      return subject.endsWith(suffix);
    },
  },
  floor: { args: ['value'], call: rounded(Math.floor) },
  join: {
    args: ['value', 'value'],
    call: ([glue, parts], cost) => {
      if (typeof glue !== 'string' || !isArray(parts)) return null;
      cost.spend(parts.length);
      if (!areStrings(parts)) return null;
      for (const part of parts) cost.spend((part.length + glue.length) >> 4);
      return parts.join(glue);
    },
  },
  keys: {
    args: ['value'],
    call: ([value], cost) => {
      if (!isRecord(value)) return null;
      const keys = Object.keys(value);
      cost.spend(keys.length);
      return keys;
    },
  },
  length: { args: ['value'], call: ([value], cost) => length(value, cost) },
  map: {
    args: ['reference', 'value'],
    call: ([reference, values], cost) => {
      if (!isArray(values)) return null;
      cost.spend(values.length);
      return values.map((value) => (reference as Reference)(value ?? null));
    },
  },
  max: { args: ['value'], call: extreme(1) },
  max_by: { args: ['value', 'reference'], call: extremeBy(1) },
  merge: {
    args: ['value'],
    variadic: true,
    call: (args, cost) => {
      const merged: Record<string, unknown> = {};
      for (const part of args) {
        if (part === null || part === undefined) continue;
        if (!isRecord(part)) return null;
        for (const key of Object.keys(part)) {
          cost.spend(1);
          setOwn(merged, key, part[key]);
        }
      }
      return merged;
    },
  },
  min: { args: ['value'], call: extreme(-1) },
  min_by: { args: ['value', 'reference'], call: extremeBy(-1) },
  not_null: { args: ['value'], variadic: true, call: (args) => args.find((arg) => arg !== null) ?? null },
  reverse: {
    args: ['value'],
    call: ([value], cost) => {
      if (isArray(value)) {
        cost.spend(value.length);
        return value.toReversed();
      }
      if (typeof value !== 'string') return null;
      cost.spendText(value.length);
      return [...value].reverse().join('');
    },
  },
  sort: {
    args: ['value'],
    call: ([values], cost) => comparable(values, cost)?.toSorted((a, b) => order(a, b, cost)!) ?? null,
  },
  sort_by: {
    args: ['value', 'reference'],
    call: ([values, reference], cost) => {
      const keys = keysBy(values, reference, cost);
      if (!keys) return null;
      const places = keys.map((_, place) => place).sort((a, b) => order(keys[a], keys[b], cost)! || a - b);
      return places.map((place) => (values as readonly unknown[])[place]);
    },
  },
  starts_with: {
    args: ['value', 'value'],
    call: ([subject, prefix], cost) => {
      if (typeof subject !== 'string' || typeof prefix !== 'string') return false;
      cost.spendComparison(prefix.length);
      return subject.startsWith(prefix);
    },
  },
  sum: { args: ['value'], call: sum },
  to_array: { args: ['value'], call: ([value]) => (isArray(value) ? value : [value]) },
  to_number: {
    args: ['value'],
    call: ([value]) => {
      if (isNumber(value)) return value;
      return typeof value === 'string' && value.length < 400 && JSON_NUMBER.test(value) ? parseJson(value) : null;
    },
  },
  to_string: { args: ['value'], call: ([value], cost) => toText(value, cost) },
  type: { args: ['value'], call: ([value]) => typeOf(value) },
  values: {
    args: ['value'],
    call: ([value], cost) => {
      if (!isRecord(value)) return null;
      const values = Object.values(value);
      cost.spend(values.length);
      return values;
    },
  },
};

export const functionNames: readonly string[] = Object.keys(FUNCTIONS);

/** The function of a call that {@link arityProblem} has nothing against. */
export const functionNamed = (name: string): FunctionDefinition['call'] => FUNCTIONS[name]!.call;

/** What is wrong with a call as far as one can know before it is made; `undefined` if nothing is. */
export function arityProblem(name: string, args: readonly Node[]): string | undefined {
  if (!Object.hasOwn(FUNCTIONS, name)) return `there is no function ${name}(). Functions: ${functionNames.join(', ')}.`;
  const definition = FUNCTIONS[name]!;
  const wanted = definition.args.length;
  if (definition.variadic ? args.length < wanted : args.length !== wanted)
    return `${name}() takes ${definition.variadic ? 'at least ' : ''}${wanted} argument${wanted === 1 ? '' : 's'}, not ${args.length}.`;
  for (const [index, arg] of args.entries()) {
    const isReference = definition.args[Math.min(index, wanted - 1)] === 'reference';
    if (isReference && arg.kind !== 'reference')
      return `argument ${index + 1} of ${name}() must be an expression: write & before it.`;
    if (!isReference && arg.kind === 'reference') return `argument ${index + 1} of ${name}() cannot be an &expression.`;
  }
  return undefined;
}
