import { type ExactNumber, isNumber, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { remember } from '#libs/kernel/src/remember.js';

import { type Node } from './ast.js';
import { parse } from './parser.js';
import { isArray, isRecord } from './values.js';

/** Names of fields and places in arrays, from the scope inwards; empty for the scope itself. */
export type Path = readonly (string | number)[];

/** What an index can look up: compared by `scalarKey`, at no cost. */
export type Scalar = string | number | ExactNumber | boolean | null;

export const isScalar = (value: unknown): value is Scalar =>
  value === null || typeof value === 'string' || isNumber(value) || typeof value === 'boolean';

/** `path == literal`. */
export interface Equality {
  readonly path: Path;
  readonly value: Scalar;
}

/**
 * The path that an expression is, such as `data.commits[0].id`; `undefined` for one that computes anything.
 * @throws ExpressionError as `compile` does.
 */
export const pathOf = (expression: string): Path | undefined => shared(pathOfNode(parse(expression)));

/**
 * The equalities that a conjunction begins with: an expression with `a == 'x' && b == 'y' && …` is `false` as soon as
 * one of them does not hold, whatever follows. Empty for every other expression.
 * @param known the value at a path whose value is known before the expression is evaluated: it counts as a literal.
 * @throws ExpressionError as `compile` does.
 */
export function leadingEqualities(
  expression: string,
  known: (path: Path) => unknown = () => undefined,
): readonly Equality[] {
  const found: Equality[] = [];
  for (const node of conjuncts(parse(expression))) {
    const equality = equalityOf(node, known);
    if (!equality) break;
    found.push(equality);
  }
  return found;
}

/**
 * The equalities anywhere in a conjunction: an expression with `… && a == 'x' && …` is not true unless all of them hold. What
 * stands before one of them is evaluated first, so they say whether it is true, not why it is not.
 * @throws ExpressionError as `compile` does.
 */
export const conjoinedEqualities = (
  expression: string,
  known: (path: Path) => unknown = () => undefined,
): readonly Equality[] => [...conjuncts(parse(expression))].flatMap((node) => equalityOf(node, known) ?? []);

/** Thousands of rules look at a few dozen paths: the same path is the same object. */
const shared = (path: Path | undefined): Path | undefined => path && pathFrom(stringifyJson(path));
const pathFrom = remember((json) => parseJson(json) as Path);

/** What is at a path, as the compiled expression would find it: `null` where something is missing. */
export function valueAt(path: Path, scope: unknown): unknown {
  let value: unknown = scope ?? null;
  for (const step of path) {
    if (typeof step === 'number') value = isArray(value) ? (value.at(step) ?? null) : null;
    else if (isRecord(value) && Object.hasOwn(value, step)) value = value[step] ?? null;
    else return null;
  }
  return value;
}

function* conjuncts(node: Node): Generator<Node> {
  if (node.kind !== 'and') yield node;
  else {
    yield* conjuncts(node.left);
    yield* conjuncts(node.right);
  }
}

function equalityOf(node: Node, known: (path: Path) => unknown): Equality | undefined {
  if (node.kind !== 'compare' || node.operator !== '==') return undefined;
  for (const [one, other] of [
    [node.left, node.right],
    [node.right, node.left],
  ] as const) {
    const path = shared(pathOfNode(one));
    if (!path || known(path) !== undefined) continue;
    const value = other.kind === 'literal' ? other.value : valueOf(pathOfNode(other), known);
    if (isScalar(value)) return { path, value };
  }
  return undefined;
}

const valueOf = (path: Path | undefined, known: (path: Path) => unknown): unknown => path && known(path);

function pathOfNode(node: Node): Path | undefined {
  switch (node.kind) {
    case 'current':
      return [];
    case 'field':
      return [node.name];
    case 'index':
      return [node.index];
    case 'sub':
    case 'pipe': {
      const [left, right] = [pathOfNode(node.left), pathOfNode(node.right)];
      return left && right && [...left, ...right];
    }
    default:
      return undefined;
  }
}
