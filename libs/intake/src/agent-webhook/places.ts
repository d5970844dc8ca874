/**
 * Executions of an agent that take one of its places: those that run, and those of its webhook that are about to. The count
 * is of this process: it knows at once what it has accepted itself, and through the log what others have. Whatever is
 * accepted beyond the limit all the same is queued.
 */
export class Places {
  private readonly taken = new Set<string>();
  limit = 0;

  /** Takes places for executions, if one is free. @returns what gives places back: of those that were not taken before. */
  take(executionIds: readonly string[]): ((executionIds: readonly string[]) => void) | undefined {
    const more = new Set(executionIds.filter((id) => !this.taken.has(id)));
    if (more.size > 0 && this.taken.size >= this.limit) return undefined;
    for (const id of more) this.taken.add(id);
    return (ids) => ids.forEach((id) => more.has(id) && this.taken.delete(id));
  }

  occupy(executionId: string): void {
    this.taken.add(executionId);
  }

  free(executionId: string): void {
    this.taken.delete(executionId);
  }
}
