import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import type { Path, Scalar } from '#libs/expressions/src/path.js';
import type { Cost } from '#libs/expressions/src/values.js';

import { excerpt } from './excerpt.js';

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

/**
 * A comparison of what is at a path with values that can be looked up. It costs nothing, cannot fail in another way than
 * by not holding, and decides against the rule where it does not hold: what an index may do in its place.
 */
export interface IndexableTest {
  readonly pointer: string;
  readonly path: Path;
  readonly accepts: ReadonlySet<Scalar>;
  /** Whether the condition sees `false` instead of the value: the comparison is part of an expression. */
  readonly seesFalse: boolean;
}

/** A comparison of what is at a path, by itself: where it does not hold, it decides against the rule. */
export interface Probe {
  readonly pointer: string;
  readonly path: Path;
  /** @throws Rejected `expression.too_costly` */
  readonly test: (actual: unknown, cost: Cost) => boolean;
}

/** A condition or group, compiled. Throws nothing but Rejected `expression.too_costly`. */
export interface Condition {
  readonly pointer: string;
  /** In words. */
  readonly text: string;
  /** JMESPath that is looked at; empty for a group. */
  readonly field: string;
  readonly expected: unknown;
  /** Comparisons that it begins with, in the order in which {@link check} makes them. */
  readonly leading: readonly IndexableTest[];
  /** Whether it is nothing but its leading comparisons. */
  readonly isIndexable: boolean;
  /** What is asked right after them, where that looks at a path as well. */
  readonly probe: Probe | undefined;
  /** What `field` is; a group has none. */
  look?(event: unknown, cost: Cost): unknown;
  /** This condition or one within it, by JSON pointer. */
  find(pointer: string): Condition | undefined;
  /** What it says when it is the one that decided, having seen `actual`. */
  failed(actual: unknown): Failure;
  /** `undefined` if it holds, else the first condition that did not. */
  check(event: unknown, cost: Cost): Failure | undefined;
  /** Every condition with its verdict, a group before its members. */
  trace(event: unknown, cost: Cost): readonly TraceEntry[];
}

/** A comparison or an expression. */
export interface Leaf {
  readonly pointer: string;
  readonly text: string;
  readonly expression: CompiledExpression;
  readonly expected: unknown;
  readonly test: (actual: unknown, cost: Cost) => boolean;
  readonly leading: readonly IndexableTest[];
  /** Of what is compared; an expression has none, and neither has a field that is computed. */
  readonly path?: Path | undefined;
}

/** A comparison or expression: its value is tested. */
export function leaf({ pointer, text, expression, expected, test, leading, path }: Leaf): Condition {
  const condition = text.length > 300 ? `${text.slice(0, 299)}…` : text;
  const field = expression.source;
  const wanted = excerpt(expected);
  const failed = (actual: unknown): Failure => ({ pointer, condition, field, actual, expected: wanted });
  const itself: Condition = {
    pointer,
    text: condition,
    field,
    expected: wanted,
    leading,
    isIndexable: leading.length > 0 && leading.every(({ seesFalse }) => !seesFalse),
    probe: leading.length === 0 && path ? { pointer, path, test } : undefined,
    look: (event, cost) => expression.evaluate(event, cost),
    find: (at) => (at === pointer ? itself : undefined),
    failed,
    check: (event, cost) => {
      const actual = expression.evaluate(event, cost);
      return test(actual, cost) ? undefined : failed(excerpt(actual));
    },
    trace: (event, cost) => {
      const actual = expression.evaluate(event, cost);
      return [{ pointer, condition, holds: test(actual, cost), field, actual: excerpt(actual), expected: wanted }];
    },
  };
  return itself;
}

/** Holds where every member does. */
export function all(members: readonly Condition[], pointer: string): Condition {
  const check = (event: unknown, cost: Cost): Failure | undefined => {
    for (const member of members) {
      const failure = member.check(event, cost);
      if (failure) return failure;
    }
    return undefined;
  };
  const end = members.findIndex(({ isIndexable }) => !isIndexable);
  const leading = members.slice(0, end < 0 ? undefined : end + 1).flatMap((member) => member.leading);
  const probe = members[end]?.probe;
  return group({ pointer, kind: 'all', members, check, leading, isIndexable: end < 0, probe });
}

/** Holds where one member does. */
export function any(members: readonly Condition[], pointer: string): Condition {
  const check = (event: unknown, cost: Cost): Failure | undefined => {
    let first: Failure | undefined;
    for (const member of members) {
      const failure = member.check(event, cost);
      if (!failure) return undefined;
      first ??= failure;
    }
    return first;
  };
  // Of several it is not the first that decides.
  const [only] = members.length === 1 ? members : [];
  const { leading = [], isIndexable = false, probe } = only ?? {};
  return group({ pointer, kind: 'any', members, check, leading, isIndexable, probe });
}

interface Group extends Pick<Condition, 'pointer' | 'check' | 'leading' | 'isIndexable' | 'probe'> {
  readonly kind: 'all' | 'any';
  readonly members: readonly Condition[];
}

function group({ pointer, kind, members, check, leading, isIndexable, probe }: Group): Condition {
  const text = `${kind} of ${members.length}`;
  const itself: Condition = {
    pointer,
    text,
    field: '',
    expected: true,
    leading,
    isIndexable,
    probe,
    find: (at) => (at === pointer ? itself : findAmong(members, at)),
    failed: (actual) => ({ pointer, condition: text, field: '', actual, expected: true }),
    check,
    trace: (event, cost) => [
      { pointer, condition: text, holds: check(event, cost) === undefined },
      ...members.flatMap((member) => member.trace(event, cost)),
    ],
  };
  return itself;
}

function findAmong(members: readonly Condition[], pointer: string): Condition | undefined {
  for (const member of members) {
    const found = pointer.startsWith(member.pointer) ? member.find(pointer) : undefined;
    if (found) return found;
  }
  return undefined;
}

/** Holds where the inner one does not. */
export function not(inner: Condition, pointer: string): Condition {
  const condition = `not (${inner.text})`;
  const failed = (actual: unknown): Failure => ({
    pointer,
    condition,
    field: inner.field,
    actual,
    expected: { not: inner.expected },
  });
  const itself: Condition = {
    pointer,
    text: condition,
    field: inner.field,
    expected: inner.expected,
    leading: [],
    isIndexable: false,
    probe: undefined,
    find: (at) => (at === pointer ? itself : inner.find(at)),
    failed,
    check: (event, cost) =>
      inner.check(event, cost) ? undefined : failed(inner.look ? excerpt(inner.look(event, cost)) : true),
    trace: (event, cost) => [
      { pointer, condition: 'not', holds: inner.check(event, cost) !== undefined },
      ...inner.trace(event, cost),
    ],
  };
  return itself;
}
