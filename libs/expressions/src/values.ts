import { Rejected } from '#libs/kernel/src/errors.js';
import { compareNumbers, ExactNumber, isExactNumber, isNumber } from '#libs/kernel/src/text/exact-json.js';

/**
 * JMESPath's truth: `false`, `null`, and empty strings, arrays and objects are false; all else is true, 0 too.
 * @throws Rejected `expression.too_costly`
 */
export function isTruthy(value: unknown, cost: Cost): boolean {
  if (value === null || value === undefined || value === false || value === '') return false;
  if (typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.length > 0;
  if (isExactNumber(value)) return true;
  // The engine makes a list of all keys, also where one is asked for.
  const { length } = Object.keys(value);
  cost.spend(length >> 2);
  return length > 0;
}

/** Names of JMESPath's types. */
export type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

export function typeOf(value: unknown): TypeName {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (isExactNumber(value)) return 'number';
  const type = typeof value;
  return type === 'boolean' || type === 'number' || type === 'string' ? type : 'object';
}

/** As `Array.isArray`, which makes `any` of what it finds. */
export const isArray = (value: unknown): value is readonly unknown[] => Array.isArray(value);

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);

/** Sets an own property, also where the key is `__proto__`. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  else target[key] = value;
}

/** Steps that one evaluation may take: some 50 ms, and more than a 1 MiB event needs to be looked through once. */
export const MAX_STEPS = 1_000_000;

/**
 * Counts what an evaluation does and ends it when it is too much. A short expression can ask for very much: each
 * `[@, @][]` doubles an array.
 */
export class Cost {
  private rest: number;

  /**
   * @param limit steps that are allowed.
   * @param more asked once when they are used up: how many more there are, for this input.
   */
  constructor(
    private limit = MAX_STEPS,
    private more?: () => number,
  ) {
    this.rest = limit;
  }

  /** Steps that are allowed still. */
  get left(): number {
    return this.rest;
  }

  /** @throws Rejected `expression.too_costly` */
  spend(steps: number): void {
    this.rest -= steps;
    if (this.rest < 0) this.exceeded();
  }

  private exceeded(): void {
    const more = this.more?.() ?? 0;
    this.more = undefined;
    this.limit += more;
    this.rest += more;
    if (this.rest >= 0) return;
    throw new Rejected(
      'invalid',
      'expression.too_costly',
      `the expression needs more than ${this.limit} steps on this input: use fewer elements.`,
    );
  }

  /** Text costs less than values. */
  spendText(length: number): void {
    this.spend(1 + (length >> 4));
  }

  /** Comparing texts costs less still, and nothing where they are short. */
  spendComparison(length: number): void {
    this.spend(length >> 8);
  }
}

/** Pays for a value as large as it would be written out, so that what refers to one part many times is noticed. */
export function weigh(value: unknown, cost: Cost): void {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const current = open.pop();
    if (typeof current === 'string') cost.spendText(current.length);
    else if (isExactNumber(current)) cost.spendText(current.text.length);
    else cost.spend(1);
    if (typeof current !== 'object' || current === null || isExactNumber(current)) continue;
    if (isArray(current)) for (const item of current) open.push(item);
    else
      for (const key of Object.keys(current)) {
        cost.spendText(key.length);
        open.push((current as Record<string, unknown>)[key]);
      }
  }
}

/** Equality by value. Without recursion: data may be nested deeper than the stack. */
export function isEqual(first: unknown, second: unknown, cost: Cost): boolean {
  if (typeof first !== 'object' && typeof second !== 'object') return isSame(first ?? null, second ?? null, cost);
  const open: unknown[] = [first, second];
  while (open.length > 0) {
    const b = open.pop() ?? null;
    const a = open.pop() ?? null;
    cost.spend(1);
    if (isSame(a, b, cost)) continue;
    if (isExactNumber(a) || isExactNumber(b)) {
      if (!isNumber(a) || !isNumber(b) || order(a, b, cost) !== 0) return false;
      continue;
    }
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    if (isArray(a) || isArray(b)) {
      if (!isArray(a) || !isArray(b) || a.length !== b.length) return false;
      for (let i = 0; i < a.length; i++) open.push(a[i], b[i]);
      continue;
    }
    const keys = Object.keys(a);
    const others = Object.keys(b).length;
    if (keys.length !== others) {
      cost.spend((keys.length + others) >> 2);
      return false;
    }
    for (const key of keys) {
      if (!Object.hasOwn(b, key)) return false;
      open.push((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]);
    }
  }
  return true;
}

function isSame(first: unknown, second: unknown, cost: Cost): boolean {
  if (typeof first === 'string' && typeof second === 'string' && first.length === second.length)
    cost.spendComparison(first.length);
  return first === second;
}

/**
 * Order of two values: numbers among themselves, strings among themselves (by UTF-16 unit, so that RFC 3339 times in
 * one zone compare as times); `undefined` for everything else, which has no order.
 * @throws Rejected `expression.too_costly`
 */
export function order(first: unknown, second: unknown, cost: Cost): number | undefined {
  if (typeof first === 'number' && typeof second === 'number') return first - second;
  if (isNumber(first) && isNumber(second)) {
    cost.spendText(String(first).length + String(second).length);
    return compareNumbers(first, second);
  }
  if (typeof first !== 'string' || typeof second !== 'string') return undefined;
  cost.spendComparison(Math.min(first.length, second.length));
  return first < second ? -1 : first > second ? 1 : 0;
}
