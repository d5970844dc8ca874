/** Most characters of JSON that a decision keeps of a value. */
export const EXCERPT_LENGTH = 200;

/**
 * A value as a decision keeps it: whole if its JSON is short, else the beginning of its JSON as a string that ends
 * in `…`. Costs no more for a value of a megabyte than for a short one.
 */
export function excerpt(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'string') return value.length <= EXCERPT_LENGTH ? value : cut(value);
  if (typeof value !== 'object' || value === null) return value;
  const json = begin(value, EXCERPT_LENGTH + 1);
  return json.length <= EXCERPT_LENGTH ? value : cut(json);
}

/** The value as text, at most {@link EXCERPT_LENGTH} characters: for sentences. */
export function inWords(value: unknown): string {
  const json = begin(value ?? null, EXCERPT_LENGTH + 1);
  return json.length <= EXCERPT_LENGTH ? json : cut(json);
}

function cut(text: string): string {
  const end = EXCERPT_LENGTH - 1;
  // Half of a surrogate pair is no text that JSON can keep.
  const last = text.charCodeAt(end - 1);
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end)}…`;
}

/** JSON of a value, ended as soon as it is longer than `most`. Every level writes a character, so depth is bounded. */
function begin(value: unknown, most: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, most));
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const isArray = Array.isArray(value);
  let json = isArray ? '[' : '{';
  let first = true;
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    if (json.length >= most) return json;
    if (!first) json += ',';
    first = false;
    if (!isArray) json += `${JSON.stringify(key.slice(0, most))}:`;
    json += begin((value as Record<string, unknown>)[key], most - json.length);
  }
  return json + (isArray ? ']' : '}');
}
