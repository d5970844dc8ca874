import { Secrets } from '#libs/access/src/secrets/secrets.js';

/** Secrets in memory, for specs. */
export class MemorySecrets extends Secrets {
  readonly kept = new Map<string, string>();

  put(_orgId: string, reference: string, plaintext: string): Promise<string> {
    const stored = this.kept.get(reference) ?? plaintext;
    this.kept.set(reference, stored);
    return Promise.resolve(stored);
  }

  get(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(
      new Map(references.filter((name) => this.kept.has(name)).map((name) => [name, this.kept.get(name)!])),
    );
  }

  remove(references: readonly string[]): Promise<void> {
    for (const reference of references) this.kept.delete(reference);
    return Promise.resolve();
  }
}
