/** In a schema for editors: what a text names, or the keys of an object do. */
export const NAMES = 'x-names';

/** Samples are shown as they are. */
const SAMPLES = new Set(['default', 'const', 'enum', 'example', 'examples']);

/**
 * A document with every schema that has an `$id` put among its definitions, and a `$ref` in its place, so that it is
 * written out once. What only our own checks read is left out; what a text refers to is there for editors, as `x-names`.
 * @param at where the definitions will stand in the document: `#/$defs/`.
 */
export function withDefinitions(
  document: object,
  at: string,
): { readonly document: object; readonly definitions: Readonly<Record<string, object>> } {
  const definitions: Record<string, object> = {};
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    const { $id, $ref, ...rest } = value as { $id?: unknown; $ref?: unknown };
    if (typeof $id === 'string') {
      // Named before it is looked into: it may refer to itself.
      if (!Object.hasOwn(definitions, $id)) {
        definitions[$id] = {};
        definitions[$id] = visit(rest) as object;
      }
      return { $ref: at + $id };
    }
    const more = Object.fromEntries(
      Object.entries(rest)
        .filter(([key, item]) => key !== 'expected' || typeof item !== 'string')
        .map(([key, item]) =>
          key === 'refersTo' && typeof item === 'string' ? [NAMES, item] : [key, SAMPLES.has(key) ? item : visit(item)],
        ),
    );
    if (typeof $ref !== 'string') return more;
    return { $ref: $ref.startsWith('#') ? $ref : at + $ref, ...more };
  };
  return { document: visit(document) as object, definitions };
}
