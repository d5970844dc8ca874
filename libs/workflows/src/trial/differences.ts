import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { canonicalJson, isObject, pointerToken } from '#libs/kernel/src/json.js';

/** One place where something else was seen than a test expects. */
export interface Difference {
  /** Of the expectation, in the test file. */
  readonly pointer: string;
  readonly expected: string;
  readonly seen: string;
}

/**
 * Where a value differs from what is expected: maps are compared by the keys that are expected, lists entry by entry.
 * Nothing is expected of a value that is `undefined`.
 */
export function differences(expected: unknown, seen: unknown, pointer: string): readonly Difference[] {
  if (expected === undefined) return [];
  if (isObject(expected) && isObject(seen))
    return Object.entries(expected).flatMap(([key, value]) =>
      differences(value, Object.hasOwn(seen, key) ? seen[key] : undefined, `${pointer}/${pointerToken(key)}`),
    );
  if (Array.isArray(expected) && Array.isArray(seen) && expected.length === seen.length)
    return expected.flatMap((value, index) => differences(value, seen[index], `${pointer}/${index}`));
  if (seen !== undefined && canonicalJson(expected) === canonicalJson(seen)) return [];
  return [{ pointer, expected: shown(expected), seen: shown(seen) }];
}

/**
 * Where a list of expectations is not found in this order; others may come in between, unless `only` forbids that. Each
 * takes the first that fits it after the one before.
 */
export function missingInOrder<T>(
  expected: readonly object[],
  seen: readonly T[],
  asSeen: (one: T) => Readonly<Record<string, unknown>>,
  describe: (one: T) => string,
  pointer: string,
  only = false,
): readonly Difference[] {
  const found: Difference[] = [];
  const taken = new Set<number>();
  let from = 0;
  for (const [index, one] of expected.entries()) {
    const at = seen.findIndex((candidate, place) => place >= from && fits(one, asSeen(candidate)));
    if (at >= 0) {
      taken.add(at);
      from = at + 1;
      continue;
    }
    const rest = seen.slice(from);
    found.push({
      pointer: `${pointer}/${index}`,
      expected: shown(one),
      seen: nearestTo(one, rest, asSeen) ?? listed(rest.map(describe)),
    });
  }
  const others = only ? seen.filter((_, index) => !taken.has(index)) : [];
  if (found.length === 0 && others.length > 0)
    found.push({ pointer, expected: 'no others', seen: listed(others.map(describe)) });
  return found;
}

const fits = (expected: object, seen: unknown): boolean => differences(expected, seen, '').length === 0;

/** What differs in the first one that is called the same. */
function nearestTo<T>(
  expected: object,
  rest: readonly T[],
  asSeen: (one: T) => Readonly<Record<string, unknown>>,
): string | undefined {
  const [[key, name] = ['', '']] = Object.entries(expected) as [string, unknown][];
  const same = rest.map(asSeen).find((one) => one[key] === name);
  if (!same) return undefined;
  return shown(Object.fromEntries(Object.keys(expected).map((one) => [one, same[one]])));
}

const MOST_SHOWN = 20;
const listed = (names: readonly string[]): string =>
  names.length === 0
    ? 'nothing more'
    : [
        ...names.slice(0, MOST_SHOWN),
        ...(names.length > MOST_SHOWN ? [`and ${names.length - MOST_SHOWN} more`] : []),
      ].join(', ');

export const shown = (value: unknown): string => (value === undefined ? 'nothing' : stringifyJson(value));
