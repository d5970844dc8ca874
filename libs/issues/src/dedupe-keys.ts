/** Which open issue has which dedupe key, in one batch of the log: what was loaded, and what has changed since. */
export class DedupeKeys {
  private readonly changed = new Map<
    string,
    { readonly orgId: string; readonly key: string; issueId: string | null }
  >();
  private readonly holders = new Map<string, string>();

  constructor(stored: readonly { readonly orgId: string; readonly key: string; readonly issueId: string }[]) {
    for (const { orgId, key, issueId } of stored) this.holders.set(idOf(orgId, key), issueId);
  }

  holder(orgId: string, key: string): string | undefined {
    return this.holders.get(idOf(orgId, key));
  }

  /** Gives a key to an issue, unless another one has it. */
  take(orgId: string, key: string, issueId: string): void {
    const id = idOf(orgId, key);
    if (this.holders.has(id)) return;
    this.holders.set(id, issueId);
    this.changed.set(id, { orgId, key, issueId });
  }

  /** Frees a key, if this issue has it. */
  free(orgId: string, key: string, issueId: string): void {
    const id = idOf(orgId, key);
    if (this.holders.get(id) !== issueId) return;
    this.holders.delete(id);
    this.changed.set(id, { orgId, key, issueId: null });
  }

  /** What is to be stored: `issueId` is `null` where the key is free again. */
  get changes(): readonly { readonly orgId: string; readonly key: string; readonly issueId: string | null }[] {
    return [...this.changed.values()];
  }
}

const idOf = (orgId: string, key: string): string => `${orgId} ${key}`;
