import { isExactNumber } from '#libs/kernel/src/text/exact-json.js';
import type { Json, JsonObject } from '#libs/kernel/src/json.js';
import { beginning } from '#libs/kernel/src/text/text.js';

/** Lists of paths in a commit: what makes a large push large. */
const PATHS: ReadonlySet<string> = new Set(['added', 'modified', 'removed']);
const LONGEST_TEXT = 256;
const LONGEST_LIST = 20;

/**
 * Neutral fields made smaller, so that an event stays within the limit of the log; the payload beside them still has
 * everything. `without-paths` leaves out the path lists of commits: what is not known is absent, not empty. `short` also cuts
 * texts and lists. The result satisfies the schema that the original satisfies, and says `truncated: true` where anything is
 * missing.
 */
export function shortened(data: JsonObject, budget: 'without-paths' | 'short'): JsonObject {
  let truncated = false;
  const cut = <Part>(part: Part): Part => {
    truncated = true;
    return part;
  };
  const shorten = (value: Json): Json => {
    if (typeof value === 'string')
      return budget === 'short' && value.length > LONGEST_TEXT ? cut(beginning(value, LONGEST_TEXT)) : value;
    if (typeof value !== 'object' || value === null || isExactNumber(value)) return value;
    if (Array.isArray(value)) {
      const list = value as readonly Json[];
      const kept = budget === 'short' && list.length > LONGEST_LIST ? cut(list.slice(0, LONGEST_LIST)) : list;
      return kept.map(shorten);
    }
    return Object.fromEntries(
      Object.entries(value as JsonObject).flatMap(([key, field]): [string, Json][] =>
        PATHS.has(key) && Array.isArray(field) && field.length > 0 ? cut([]) : [[key, shorten(field)]],
      ),
    );
  };
  const smaller = shorten(data) as JsonObject;
  return truncated ? { ...smaller, truncated } : data;
}
