import { inspect } from 'node:util';

/**
 * JSON whose numbers keep their value. JavaScript reads `7615917337495251231` as `7615917337495251000` and `1e400` as
 * infinity, so that two ids become one and a number becomes null. Here a number that JavaScript would change is read as
 * an {@link ExactNumber} and written as the digits that came in; all other numbers stay what they are.
 */

/** A JSON number that no JavaScript number holds, or that JavaScript writes in another way. */
export class ExactNumber {
  /** @param text as JSON writes it. */
  constructor(readonly text: string) {}

  /** The nearest JavaScript number, which may be infinite. */
  valueOf(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }

  /** Its digits where {@link stringifyJson} writes, the nearest number where anybody else does. */
  toJSON(): unknown {
    if (!isWriting) return this.valueOf();
    wroteExact = true;
    return MARK + this.text;
  }

  [inspect.custom](): string {
    return this.text;
  }
}

/** Stands for digits inside a string while JSON is read or written; nobody outside can know it. */
const MARK = `\u{e000}${crypto.randomUUID()}:`;
let isWriting = false;
let wroteExact = false;

/**
 * What may be a number that JavaScript changes, or writes in another way: `1.50`, `-0` and `0.0000001` too. Looks at the bytes
 * that can stand before a number only.
 */
const SUSPECT = /[:,[\s](?=[-\d])(?:-?(?:[\d.]{16}|\d+(?:\.\d+)?[eE]|\d+\.\d*0(?!\d)|0\.000000)|-0(?![.\d]))|^\s*-?\d/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Whether reading `text` with `JSON.parse` and writing it again might change a number. False positives only cost time. */
export const mayHoldExactNumbers = (text: string): boolean => SUSPECT.test(text);

/**
 * Reads JSON. A number that JavaScript can hold is a JavaScript number, however it was written: what a schema checks.
 * @param mayHoldExact where it is known already.
 * @throws SyntaxError as `JSON.parse` does.
 */
export function parseJson(text: string, mayHoldExact = mayHoldExactNumbers(text)): unknown {
  return mayHoldExact ? parseExactly(text, keepsItsValue) : JSON.parse(text);
}

/**
 * Reads JSON that is to be passed on: a number that JavaScript would write in another way, such as `1.50`, keeps its digits.
 * @throws SyntaxError as `JSON.parse` does.
 */
export function parseAsWritten(text: string): unknown {
  return SUSPECT.test(text) ? parseExactly(text, keepsItsDigits) : JSON.parse(text);
}

function parseExactly(text: string, isKept: (number: string) => boolean): unknown {
  let found = false;
  const marked = text.replace(STRING_OR_NUMBER, (token) => {
    if (token.charCodeAt(0) === 34 || isKept(token)) return token;
    found = true;
    return `"${MARK}${token}"`;
  });
  if (!found) return JSON.parse(text);
  try {
    return unmarked(JSON.parse(marked));
  } catch {
    // The place that the message names is one in the text that was given.
    return JSON.parse(text);
  }
}

/** Puts exact numbers in the places of their marks. Without recursion: JSON may be nested deeper than the stack. */
function unmarked(root: unknown): unknown {
  const top = { root };
  const open: Record<string, unknown>[] = [top];
  for (let holder = open.pop(); holder; holder = open.pop())
    for (const key in holder) {
      // A number cannot be a key.
      if (key.startsWith(MARK)) throw new SyntaxError();
      const value = holder[key];
      if (typeof value === 'object' && value !== null) open.push(value as Record<string, unknown>);
      else if (typeof value === 'string' && value.startsWith(MARK)) setOwn(holder, key, exactOf(value));
    }
  return top.root;
}

const exactOf = (marked: string): ExactNumber => new ExactNumber(marked.slice(MARK.length));

/** `__proto__` is a key of JSON like any other. */
function setOwn(holder: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') holder[key] = value;
  else Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * Writes JSON; exact numbers as the digits that came in.
 * @returns `undefined` for what JSON has no text for, as `JSON.stringify` does.
 */
export function stringifyJson(value: unknown, space?: number): string {
  const before = isWriting;
  isWriting = true;
  wroteExact = false;
  try {
    const text = JSON.stringify(value, undefined, space);
    return wroteExact ? text.replaceAll(WRITTEN, '$1') : text;
  } finally {
    isWriting = before;
  }
}

const WRITTEN = new RegExp(`"${MARK}([-+.0-9eE]+)"`, 'g');

/** Whether the last call of {@link stringifyJson} wrote an exact number: readers must read its text exactly. */
export const wroteExactNumbers = (): boolean => wroteExact;

/**
 * The value with each exact number as the nearest one of JavaScript: schemas know no other. The value itself where it holds
 * none.
 */
export function rounded(value: unknown): unknown {
  const text = stringifyJson(value);
  return wroteExact ? (JSON.parse(text) as unknown) : value;
}

/**
 * The value with each number that JavaScript holds as a JavaScript number, however it was written: for programs that look at
 * types. The value itself where that changes nothing.
 */
export function withHeldNumbers(value: unknown): unknown {
  const text = stringifyJson(value);
  return wroteExact ? parseJson(text) : value;
}

/** Whether a number is the same after JavaScript has read and written it. */
function keepsItsValue(text: string): boolean {
  // Fifteen digits are always kept.
  if (text.length <= 15 && !/[eE]/.test(text)) return true;
  const number = Number(text);
  return Number.isFinite(number) && compareDecimals(text, String(number)) === 0;
}

const keepsItsDigits = (text: string): boolean =>
  (text.length <= 15 && /^-?[1-9]\d*$|^0$/.test(text)) || String(Number(text)) === text;

export const isExactNumber = (value: unknown): value is ExactNumber => value instanceof ExactNumber;

/** Whether `value` is a number of JSON. */
export const isNumber = (value: unknown): value is number | ExactNumber =>
  typeof value === 'number' || value instanceof ExactNumber;

/** Order of two numbers, by their exact values: negative, 0 or positive. */
export function compareNumbers(a: number | ExactNumber, b: number | ExactNumber): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return compareDecimals(textOf(a), textOf(b));
}

const textOf = (value: number | ExactNumber): string => (typeof value === 'number' ? String(value) : value.text);

/** One text for each value: `1.50`, `15e-1` and `1.5` are `1.5`. For keys and hashes. */
export function canonicalNumber(value: number | ExactNumber): string {
  if (typeof value === 'number') return JSON.stringify(value);
  if (keepsItsValue(value.text)) return JSON.stringify(Number(value.text));
  const { negative, digits, exponent } = decimalOf(value.text);
  const fraction = digits.length === 1 ? '' : `.${digits.slice(1)}`;
  // A power too long to work with stays as it was written.
  return isBeyond(value.text) ? value.text : `${negative ? '-' : ''}${digits[0]}${fraction}e${exponent}`;
}

/** What a `Map` or `Set` tells values apart by: equal numbers are one key, and no string is a number's. */
export function scalarKey(value: unknown): unknown {
  if (!(value instanceof ExactNumber)) return value;
  return keepsItsValue(value.text) ? Number(value.text) : MARK + canonicalNumber(value);
}

interface Decimal {
  readonly negative: boolean;
  /** Without zeros at either end; empty for zero. */
  readonly digits: string;
  /** Of ten, of the first digit. */
  readonly exponent: bigint;
}

/** Powers of more digits are compared by their texts alone: calculating with them would let a sender waste our time. */
const MAX_POWER_DIGITS = 18;

function decimalOf(text: string): Decimal {
  const [, sign = '', whole = '', fraction = '', minus = '', power = ''] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE](?:\+|(-))?0*(\d+))?$/.exec(text) ?? [];
  const all = whole + fraction;
  let first = 0;
  while (all[first] === '0') first++;
  let end = all.length;
  while (end > first && all[end - 1] === '0') end--;
  const size = power.length > MAX_POWER_DIGITS ? 10n ** BigInt(MAX_POWER_DIGITS) : BigInt(power);
  return {
    negative: sign === '-' && first < end,
    digits: all.slice(first, end),
    exponent: (minus ? -size : size) + BigInt(whole.length - 1 - first),
  };
}

function compareDecimals(a: string, b: string): number {
  const [first, second] = [decimalOf(a), decimalOf(b)];
  if (first.negative !== second.negative) return first.negative ? -1 : 1;
  const size = compareSizes(first, second);
  const difference = first.negative ? -size : size;
  if (difference !== 0 || a.length + b.length <= 2 * MAX_POWER_DIGITS) return difference;
  return isBeyond(a) || isBeyond(b) ? (a < b ? -1 : a > b ? 1 : 0) : 0;
}

const isBeyond = (text: string): boolean => /[eE][-+]?0*[1-9]\d{18}/.test(text);

function compareSizes(a: Decimal, b: Decimal): number {
  if (a.digits === '' || b.digits === '') return a.digits.length - b.digits.length;
  if (a.exponent !== b.exponent) return a.exponent < b.exponent ? -1 : 1;
  return a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0;
}
