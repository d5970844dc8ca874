import type { FailedCondition as Failure, TraceEntry } from '#libs/events/src/shapes/rule-trial-shape.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import type { Path, Scalar } from '#libs/expressions/src/path.js';
import type { Cost } from '#libs/expressions/src/values.js';

import { excerpt, inWords } from '#libs/kernel/src/text/excerpt.js';

export type { Failure, TraceEntry };

/**
 * A comparison of what is at a path with values that can be looked up. It costs nothing, cannot fail in another way than
 * by not holding, and decides against the rule where it does not hold: what an index may do in its place.
 */
export interface IndexableTest {
  readonly pointer: string;
  readonly path: Path;
  readonly accepts: readonly Scalar[];
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
  trace(event: unknown, cost: Cost): TraceEntry[];
}

/** A comparison or an expression. */
export interface Leaf {
  readonly pointer: string;
  readonly expression: CompiledExpression;
  /** Absent for an expression that is to be true by itself. */
  readonly operator?: string;
  readonly value: unknown;
  readonly test: (actual: unknown, cost: Cost) => boolean;
  readonly leading: readonly IndexableTest[];
  /** Of what is compared; an expression has none, and neither has a field that is computed. */
  readonly path?: Path | undefined;
}

const MAX_TEXT = 300;

// Classes, and what is seldom asked for worked out when it is: ten thousand rules are many conditions.

/** A comparison or expression: its value is tested. */
export class LeafCondition implements Condition {
  constructor(private readonly leaf: Leaf) {}

  get pointer(): string {
    return this.leaf.pointer;
  }
  get field(): string {
    return this.leaf.expression.source;
  }
  get text(): string {
    const { operator, value } = this.leaf;
    const given = value === undefined ? '' : ` ${inWords(value)}`;
    const text = operator === undefined ? this.field : `${this.field} ${operator}${given}`;
    return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text;
  }
  get expected(): unknown {
    return excerpt(this.leaf.value);
  }
  get leading(): readonly IndexableTest[] {
    return this.leaf.leading;
  }
  get isIndexable(): boolean {
    return this.leading.length > 0 && this.leading.every(({ seesFalse }) => !seesFalse);
  }
  get probe(): Probe | undefined {
    const { pointer, path, test, leading } = this.leaf;
    return leading.length === 0 && path ? { pointer, path, test } : undefined;
  }

  look(event: unknown, cost: Cost): unknown {
    return this.leaf.expression.evaluate(event, cost);
  }

  find(pointer: string): Condition | undefined {
    return pointer === this.pointer ? this : undefined;
  }

  failed(actual: unknown): Failure {
    const { pointer, text: condition, field, expected } = this;
    return { pointer, condition, field, actual, expected };
  }

  check(event: unknown, cost: Cost): Failure | undefined {
    const actual = this.look(event, cost);
    return this.leaf.test(actual, cost) ? undefined : this.failed(excerpt(actual));
  }

  trace(event: unknown, cost: Cost): TraceEntry[] {
    const actual = this.look(event, cost);
    return [{ ...this.failed(excerpt(actual)), holds: this.leaf.test(actual, cost) }];
  }
}

/** Holds where every member does (`all`), or one of them (`any`). */
export class GroupCondition implements Condition {
  readonly field = '';
  readonly expected = true;

  constructor(
    private readonly kind: 'all' | 'any',
    private readonly members: readonly Condition[],
    readonly pointer: string,
  ) {}

  get text(): string {
    return `${this.kind} of ${this.members.length}`;
  }
  get leading(): readonly IndexableTest[] {
    return this.deciding.flatMap(({ leading }) => leading);
  }
  get isIndexable(): boolean {
    return this.deciding.length === this.members.length && this.members.every(({ isIndexable }) => isIndexable);
  }
  get probe(): Probe | undefined {
    return this.deciding.find(({ isIndexable }) => !isIndexable)?.probe;
  }

  /** Members whose failure is the group's, up to the first that is more than its leading comparisons. */
  private get deciding(): readonly Condition[] {
    // Of several alternatives it is not the first that decides.
    if (this.kind === 'any') return this.members.length === 1 ? this.members : [];
    const end = this.members.findIndex(({ isIndexable }) => !isIndexable);
    return end < 0 ? this.members : this.members.slice(0, end + 1);
  }

  find(pointer: string): Condition | undefined {
    if (pointer === this.pointer) return this;
    for (const member of this.members) {
      const found = pointer.startsWith(member.pointer) ? member.find(pointer) : undefined;
      if (found) return found;
    }
    return undefined;
  }

  failed(actual: unknown): Failure {
    return { pointer: this.pointer, condition: this.text, field: '', actual, expected: true };
  }

  check(event: unknown, cost: Cost): Failure | undefined {
    let first: Failure | undefined;
    for (const member of this.members) {
      const failure = member.check(event, cost);
      if (this.kind === 'all' ? failure : !failure) return failure;
      first ??= failure;
    }
    return first;
  }

  trace(event: unknown, cost: Cost): TraceEntry[] {
    const holds = this.check(event, cost) === undefined;
    return [
      { pointer: this.pointer, condition: this.text, holds },
      ...this.members.flatMap((member) => member.trace(event, cost)),
    ];
  }
}

/** Holds where the inner one does not. */
export class NotCondition implements Condition {
  readonly leading = [];
  readonly isIndexable = false;
  readonly probe = undefined;

  constructor(
    private readonly inner: Condition,
    readonly pointer: string,
  ) {}

  get field(): string {
    return this.inner.field;
  }
  get text(): string {
    return `not (${this.inner.text})`;
  }
  get expected(): unknown {
    return this.inner.expected;
  }

  find(pointer: string): Condition | undefined {
    return pointer === this.pointer ? this : this.inner.find(pointer);
  }

  failed(actual: unknown): Failure {
    const { pointer, text: condition, field, expected } = this;
    return { pointer, condition, field, actual, expected: { not: expected } };
  }

  check(event: unknown, cost: Cost): Failure | undefined {
    if (this.inner.check(event, cost)) return undefined;
    return this.failed(this.inner.look ? excerpt(this.inner.look(event, cost)) : true);
  }

  trace(event: unknown, cost: Cost): TraceEntry[] {
    const holds = this.inner.check(event, cost) !== undefined;
    return [{ pointer: this.pointer, condition: 'not', holds }, ...this.inner.trace(event, cost)];
  }
}
