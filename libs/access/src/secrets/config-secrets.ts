import type { Json, JsonObject } from '#libs/kernel/src/json.js';

/** The reference in a config value that is kept as a secret. */
export function secretReferenceIn(value: unknown): string | undefined {
  const reference = typeof value === 'object' && value !== null ? (value as { $secret?: unknown }).$secret : undefined;
  return typeof reference === 'string' ? reference : undefined;
}

/** Of all values of a config that are kept as secrets. */
export const referencesIn = (config: object): readonly string[] =>
  Object.values(config).flatMap((value) => secretReferenceIn(value) ?? []);

/** The config with its secrets in plain text; without those that do not exist any more. */
export function withPlainSecrets(config: JsonObject, plain: ReadonlyMap<string, string>): JsonObject {
  const entries = Object.entries(config).flatMap(([key, value]): [string, Json][] => {
    const reference = secretReferenceIn(value);
    if (reference === undefined) return [[key, value]];
    const text = plain.get(reference);
    return text === undefined ? [] : [[key, text]];
  });
  return Object.fromEntries(entries);
}
