import { canonicalJson, isObject } from '#libs/kernel/src/json.js';

type Parts = Readonly<Record<string, unknown>>;

/** What is left out when a rule is written; `enabled` stays as it is. */
const DEFAULTS: Parts = { eventSource: '*', actions: [] };
/** What a saved rule has beside what was written. */
const NOT_WRITTEN = new Set(['id', 'status', 'version', 'createdAt', 'updatedAt', 'warnings', 'enabled']);

/** Whether saving the document of a rule would change nothing. */
export function isSame(body: Parts, saved: Parts): boolean {
  const written: Parts = { ...DEFAULTS, ...body };
  if (written['enabled'] !== undefined && written['enabled'] !== saved['enabled']) return false;
  // The server says what is wrong with it.
  if (Object.keys(body).some((key) => key !== 'enabled' && NOT_WRITTEN.has(key))) return false;
  const parts = (of: Parts) =>
    canonicalJson(Object.fromEntries(Object.entries(of).filter(([key]) => !NOT_WRITTEN.has(key))));
  return parts({ ...written, actions: withWith(written['actions']) }) === parts(saved);
}

/** Whether saving the document of an event type would change nothing. An archived one is restored. */
export function isSameType(body: Parts, saved: Parts & { readonly archived: boolean }): boolean {
  if (saved.archived) return false;
  const keys = new Set([...Object.keys(body), 'description', 'schema', 'example']);
  return [...keys].every((key) => canonicalJson(body[key] ?? null) === canonicalJson(saved[key] ?? null));
}

const withWith = (actions: unknown): unknown =>
  Array.isArray(actions) ? actions.map((one: unknown) => (isObject(one) ? { with: {}, ...one } : one)) : actions;
