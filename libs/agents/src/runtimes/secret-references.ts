import { maskerOf } from '#libs/access/src/named-secrets/secret-values.js';
import type { Masker } from '#libs/kernel/src/text/masking.js';
import { SECRET_NAME } from '#libs/events/src/shapes/secret-shape.js';

const REFERENCE = new RegExp(`\\$\\{\\{ *secrets\\.(${SECRET_NAME}) *\\}\\}`, 'g');

export type SecretValuesOf = (orgId: string, names: Iterable<string>) => Promise<ReadonlyMap<string, string>>;

/** Texts with what their references stand for, and what takes these values out of an answer that repeats them. */
export interface Filled {
  readonly texts: Readonly<Record<string, string>>;
  readonly mask: Masker;
}

/**
 * Fills in `${{ secrets.NAME }}` for the moment of a call.
 * @throws Rejected `secret.unknown`
 */
export async function withSecrets(
  texts: Readonly<Record<string, string>>,
  orgId: string,
  valuesOf: SecretValuesOf,
): Promise<Filled> {
  const names = Object.values(texts).flatMap((text) => [...text.matchAll(REFERENCE)].map(([, name]) => name!));
  const values = names.length === 0 ? new Map<string, string>() : await valuesOf(orgId, names);
  const filled = Object.entries(texts).map(
    ([key, text]) => [key, text.replaceAll(REFERENCE, (_, name: string) => values.get(name)!)] as const,
  );
  return { texts: Object.fromEntries(filled), mask: maskerOf(values) };
}
