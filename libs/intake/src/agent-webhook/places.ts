const MINUTE_MS = 60_000;

/** Gives back what these executions took, if they took it just now. */
export type GiveBack = (executionIds: readonly string[]) => void;
/** No place is free, or too many executions began in the last minute: then, how long until the next one may. */
export type Full = { readonly retryAfterMs: number | undefined };

/**
 * Executions of an agent that take one of its places: those that run, and those of its webhook that are about to; and those
 * that began in the last minute. This process knows at once what it has accepted itself, and through the log what others have,
 * also before it started. Whatever is accepted beyond a limit all the same is queued.
 */
export class Places {
  private readonly taken = new Set<string>();
  /** When they began, the oldest first. */
  private readonly recent = new Map<string, number>();
  limit = 0;
  perMinute = Infinity;

  /** Takes places for executions, if they may begin. */
  take(executionIds: readonly string[], now: number): GiveBack | Full {
    const more = new Set(executionIds.filter((id) => !this.taken.has(id) && !this.recent.has(id)));
    if (more.size > 0) {
      if (this.taken.size >= this.limit) return { retryAfterMs: undefined };
      this.forget(now);
      const oldest = this.recent.values().next().value;
      if (this.recent.size >= this.perMinute && oldest !== undefined)
        return { retryAfterMs: Math.max(1, oldest + MINUTE_MS - now) };
    }
    for (const id of more) {
      this.taken.add(id);
      this.recent.set(id, now);
    }
    return (ids) => {
      for (const id of ids)
        if (more.has(id)) {
          this.taken.delete(id);
          this.recent.delete(id);
        }
    };
  }

  occupy(executionId: string): void {
    this.taken.add(executionId);
  }

  /** It has begun, wherever. */
  began(executionId: string, at: number): void {
    this.forget(at);
    if (!this.recent.has(executionId)) this.recent.set(executionId, at);
  }

  free(executionId: string): void {
    this.taken.delete(executionId);
  }

  private forget(now: number): void {
    for (const [id, at] of this.recent) {
      if (at > now - MINUTE_MS) return;
      this.recent.delete(id);
    }
  }
}
