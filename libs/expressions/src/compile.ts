import type { Json } from '#libs/kernel/src/json.js';
import { remember } from '#libs/kernel/src/remember.js';
import { unreachable } from '#libs/kernel/src/unreachable.js';

import { childrenOf, type Comparator, type Node, type SliceParts } from './ast.js';
import { malformed } from './expression-error.js';
import { functionNamed } from './functions.js';
import { parse } from './parser.js';
import { Cost, isArray, isEqual, isRecord, isTruthy, order, setOwn, weigh } from './values.js';

/** An expression ready to be asked again and again. Immutable. */
export interface CompiledExpression {
  readonly source: string;
  /**
   * The value of the expression over `scope`; `null` where something is missing. Parts of the scope are returned as
   * they are, not copied: do not change them.
   * @param cost shared by several evaluations that together must stay within bounds.
   * @throws Rejected `expression.too_costly`, and nothing else.
   */
  evaluate(scope: unknown, cost?: Cost): Json;
  /** Whether the value is true by JMESPath's rules. */
  test(scope: unknown): boolean;
}

/**
 * Compiles a JMESPath expression into closures, once: a short one that was compiled lately is the same object again.
 * @throws ExpressionError (`Rejected`, kind `invalid`): `expression.malformed`, `expression.too_long`,
 * `expression.too_deep`, each with the column.
 */
export const compile: (expression: string) => CompiledExpression = remember(compileAnew);

function compileAnew(expression: string): CompiledExpression {
  const tree = parse(expression);
  const run = closure(tree);
  // A part of the input that is named twice in a result, again and again, is a small result that is huge when written.
  const repeats = hasRepetition(tree);
  const evaluate = (scope: unknown, cost: Cost = new Cost()): Json => {
    const value = run(scope ?? null, cost);
    if (repeats) weigh(value, cost);
    return value as Json;
  };
  const test = (scope: unknown): boolean => {
    const cost = new Cost();
    return isTruthy(run(scope ?? null, cost), cost);
  };
  return { source: expression, evaluate, test };
}

function hasRepetition(node: Node): boolean {
  const open = [node];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    if (current.kind === 'list' || current.kind === 'hash') return true;
    open.push(...childrenOf(current));
  }
  return false;
}

/** Never returns `undefined`. */
type Run = (value: unknown, cost: Cost) => unknown;

const itself: Run = (value) => value;

function closure(node: Node): Run {
  switch (node.kind) {
    case 'current':
      return itself;
    case 'literal':
      return () => node.value;
    case 'field':
      return field(node.name);
    case 'index':
      return (value) => (isArray(value) ? (value.at(node.index) ?? null) : null);
    case 'slice':
      return (value, cost) => (isArray(value) ? slice(value, node.parts, cost) : null);
    case 'sub':
    case 'pipe': {
      const [left, right] = [closure(node.left), closure(node.right)];
      return left === itself ? right : (value, cost) => right(left(value, cost), cost);
    }
    case 'flatten':
      return flatten(closure(node.of));
    case 'projection':
      return projection(closure(node.left), closure(node.right));
    case 'values':
      return valueProjection(closure(node.left), closure(node.right));
    case 'filter':
      return filter(closure(node.left), closure(node.condition), closure(node.right));
    case 'compare':
      return comparison(node.operator, closure(node.left), closure(node.right));
    case 'or': {
      const [left, right] = [closure(node.left), closure(node.right)];
      return (value, cost) => {
        const first = left(value, cost);
        return isTruthy(first, cost) ? first : right(value, cost);
      };
    }
    case 'and': {
      const [left, right] = [closure(node.left), closure(node.right)];
      return (value, cost) => {
        const first = left(value, cost);
        return isTruthy(first, cost) ? right(value, cost) : first;
      };
    }
    case 'not': {
      const of = closure(node.of);
      return (value, cost) => !isTruthy(of(value, cost), cost);
    }
    case 'list': {
      const items = node.items.map(closure);
      return (value, cost) =>
        value === null ? null : (cost.spend(items.length), items.map((item) => item(value, cost)));
    }
    case 'hash':
      return hash(node.entries.map(([name, value]) => [name, closure(value)]));
    case 'call':
      return call(node.name, node.args);
    case 'reference':
      throw malformed('& is for arguments of functions such as sort_by.', node.at);
    default:
      return unreachable(node);
  }
}

function field(name: string): Run {
  // Own properties only. A name that no object inherits needs no check, which makes the usual case one look-up.
  if (!(name in Object.prototype)) return (value) => (isRecord(value) ? (value[name] ?? null) : null);
  return (value) => (isRecord(value) && Object.hasOwn(value, name) ? (value[name] ?? null) : null);
}

function flatten(of: Run): Run {
  return (value, cost) => {
    const outer = of(value, cost);
    if (!isArray(outer)) return null;
    const flat: unknown[] = [];
    for (const item of outer) {
      cost.spend(1);
      if (!isArray(item)) flat.push(item);
      else {
        cost.spend(item.length);
        for (const inner of item) flat.push(inner);
      }
    }
    return flat;
  };
}

function projection(left: Run, right: Run): Run {
  return (value, cost) => {
    const values = left(value, cost);
    return isArray(values) ? collect(values, right, cost) : null;
  };
}

function valueProjection(left: Run, right: Run): Run {
  return (value, cost) => {
    const object = left(value, cost);
    return isRecord(object) ? collect(Object.values(object), right, cost) : null;
  };
}

function filter(left: Run, condition: Run, right: Run): Run {
  return (value, cost) => {
    const values = left(value, cost);
    if (!isArray(values)) return null;
    cost.spend(values.length);
    return collect(
      values.filter((item) => isTruthy(condition(item ?? null, cost), cost)),
      right,
      cost,
    );
  };
}

/** What is missing is left out of a projection. */
function collect(values: readonly unknown[], each: Run, cost: Cost): unknown[] {
  cost.spend(values.length);
  const collected: unknown[] = [];
  for (const value of values) {
    const result = each(value ?? null, cost);
    if (result !== null) collected.push(result);
  }
  return collected;
}

function comparison(operator: Comparator, left: Run, right: Run): Run {
  if (operator === '==') return (value, cost) => isEqual(left(value, cost), right(value, cost), cost);
  if (operator === '!=') return (value, cost) => !isEqual(left(value, cost), right(value, cost), cost);
  const holds = {
    '<': (difference: number) => difference < 0,
    '<=': (difference: number) => difference <= 0,
    '>': (difference: number) => difference > 0,
    '>=': (difference: number) => difference >= 0,
  }[operator];
  return (value, cost) => {
    const difference = order(left(value, cost), right(value, cost), cost);
    return difference === undefined ? null : holds(difference);
  };
}

function hash(entries: readonly (readonly [string, Run])[]): Run {
  return (value, cost) => {
    if (value === null) return null;
    cost.spend(entries.length);
    const object: Record<string, unknown> = {};
    for (const [name, run] of entries) setOwn(object, name, run(value, cost));
    return object;
  };
}

function call(name: string, args: readonly Node[]): Run {
  const invoke = functionNamed(name);
  const given = args.map((arg): Run => {
    if (arg.kind !== 'reference') return closure(arg);
    const of = closure(arg.of);
    return (_, cost) => (element: unknown) => of(element, cost);
  });
  return (value, cost) =>
    invoke(
      given.map((arg) => arg(value, cost)),
      cost,
    ) ?? null;
}

function slice(values: readonly unknown[], [start, stop, step]: SliceParts, cost: Cost): unknown[] {
  const by = step ?? 1;
  const cap = (place: number): number => {
    const from = place < 0 ? place + values.length : place;
    if (from < 0) return by < 0 ? -1 : 0;
    return from >= values.length ? (by < 0 ? values.length - 1 : values.length) : from;
  };
  const first = start === null ? (by < 0 ? values.length - 1 : 0) : cap(start);
  const last = stop === null ? (by < 0 ? -1 : values.length) : cap(stop);
  const picked: unknown[] = [];
  for (let i = first; by > 0 ? i < last : i > last; i += by) picked.push(values[i] ?? null);
  cost.spend(picked.length);
  return picked;
}
