import type { Json, JsonObject } from '#libs/kernel/src/json.js';
import { beginning } from '#libs/kernel/src/text.js';

/** Lists of paths in a commit: what makes a large push large. */
const PATHS: ReadonlySet<string> = new Set(['added', 'modified', 'removed']);
const LONGEST_TEXT = 256;
const LONGEST_LIST = 20;

/**
 * Neutral fields made smaller, so that an event stays within the limit of the log; the payload beside them still has
 * everything. `without-paths` empties the path lists of commits; `short` also cuts texts and lists. The result satisfies
 * the schema that the original satisfies.
 */
export function shortened(data: JsonObject, budget: 'without-paths' | 'short'): JsonObject {
  return shorten(data, budget) as JsonObject;
}

function shorten(value: Json, budget: 'without-paths' | 'short'): Json {
  if (typeof value === 'string') return budget === 'short' ? beginning(value, LONGEST_TEXT) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    return (budget === 'short' ? list.slice(0, LONGEST_LIST) : list).map((element) => shorten(element, budget));
  }
  return Object.fromEntries(
    Object.entries(value as JsonObject).map(([key, field]) => [
      key,
      PATHS.has(key) && Array.isArray(field) ? [] : shorten(field, budget),
    ]),
  );
}
