import { catalogue, type EventType, isEventType } from '#libs/events/src/catalogue.js';
import { globMatcher } from '#libs/events/src/patterns.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import type { SourceProblems } from './source-problems.js';

export const eventTypes = Object.keys(catalogue) as readonly EventType[];

const familyOf = (type: string): string => type.split('.')[0]!;
const families: ReadonlySet<string> = new Set(eventTypes.map(familyOf));

/** Reports patterns that no event type fits. @param value one pattern or a list, at the pointer. */
export function checkEventPatterns(value: unknown, pointer: string, problems: SourceProblems): void {
  const { ownTypes } = problems;
  if (ownTypes === 'any') return;
  const known: readonly string[] = [...eventTypes, ...(ownTypes?.keys() ?? [])];
  for (const [index, pattern] of (globs(value) ?? []).entries()) {
    if (known.some(globMatcher(pattern))) continue;
    const place = Array.isArray(value) ? `${pointer}/${index}` : pointer;
    const meant = suggestion(pattern, known);
    const detail = `No event type fits "${pattern}". ${meant}GET /api/v1/event-types lists them.`;
    // A type of one's own may have a name that is much like one of these, but in a family of its own.
    const isMisspelt = meant !== '' && families.has(familyOf(pattern));
    if (ownTypes || isMisspelt) problems.add(place, 'workflow.unknown_event_type', detail);
    else problems.suspect(() => problems.warn(place, 'workflow.unlikely_event_type', detail));
  }
}

/**
 * Schemas of what events of one's own types say, that the patterns name; a schema of anything where a type that is named is not
 * known here.
 */
export function ownSchemas(
  patterns: readonly string[],
  listens: (type: string) => boolean,
  { ownTypes }: Pick<SourceProblems, 'ownTypes'>,
): readonly JsonSchema[] {
  if (typeof ownTypes === 'object')
    return [...ownTypes].flatMap(([type, { schema }]) => (listens(type) ? [schema] : []));
  return patterns.some((pattern) => !pattern.includes('*') && !isEventType(pattern)) ? [ANYTHING] : [];
}

const ANYTHING: JsonSchema = {};

/** One pattern or a list of them, as a list. */
export function globs(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' ? [value] : (value as string[]);
}
