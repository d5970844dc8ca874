/**
 * Secrets of integrations and webhooks: encrypted at rest, never in an event. Events name a secret by its reference;
 * tables fetch the plain text when they see the reference, so that the hot path has it in memory.
 */
export abstract class Secrets {
  /**
   * Stores a secret durably under `reference` and returns what is stored there: the given text, or the one that an
   * earlier try of the same command had stored.
   */
  abstract put(orgId: string, reference: string, plaintext: string): Promise<string>;
  /** The plain texts; a reference that does not exist (any more) is left out. */
  abstract get(references: readonly string[]): Promise<ReadonlyMap<string, string>>;
  abstract remove(references: readonly string[]): Promise<void>;
}
