/** Most keys of one rule that a simulation remembers: 100,000 short ones take about 20 MB. */
export const MAX_SIMULATED_KEYS = 100_000;

interface Kept<Value> {
  readonly key: string;
  value: Value;
  /** Milliseconds since 1970. */
  endsAt: number;
}

interface Entry<Value> {
  readonly kept: Kept<Value>;
  /** When it was to end as it was put here. */
  readonly at: number;
}

/** Values by key until their end, in memory and bounded: those that are over are forgotten, and where there are too many the oldest. */
export class SimulatedWindows<Value> {
  private readonly byKey = new Map<string, Kept<Value>>();
  /** Roughly in the order in which they end; those before `head` are done with. */
  private order: Entry<Value>[] = [];
  private head = 0;
  private forgotten = false;

  constructor(
    /** Told when a value is over, or has to be forgotten. */
    private readonly over?: (value: Value) => void,
    private readonly most = MAX_SIMULATED_KEYS,
  ) {}

  /** False once a value had to be forgotten before its end. */
  get isExact(): boolean {
    return !this.forgotten;
  }

  /** As it was put; it may be over. */
  get(key: string): Value | undefined {
    return this.byKey.get(key)?.value;
  }

  /** Replaces what the key had, without a notification. */
  put(key: string, value: Value, endsAt: number, time: number): void {
    const known = this.byKey.get(key);
    if (known) {
      known.value = value;
      known.endsAt = endsAt;
      return;
    }
    this.forget(time);
    const kept = { key, value, endsAt };
    this.byKey.set(key, kept);
    this.order.push({ kept, at: endsAt });
  }

  /** Ends all of them. */
  finish(): void {
    for (const kept of [...this.byKey.values()]) this.end(kept);
  }

  private end({ key, value }: Kept<Value>): void {
    this.byKey.delete(key);
    this.over?.(value);
  }

  /** A Map alone would be slow to find its first entry. */
  private forget(time: number): void {
    // What had no notification stays as long as there is room: a burst that ends late may still ask for it.
    if (!this.over && this.byKey.size < this.most) return;
    for (; this.head < this.order.length; this.head++) {
      const { kept, at } = this.order[this.head]!;
      // It has ended, and another of its key may have begun.
      if (this.byKey.get(kept.key) !== kept) continue;
      const isOver = time >= kept.endsAt;
      if (!isOver && this.byKey.size < this.most) {
        if (time < at) break;
        // It has been moved since.
        this.order.push({ kept, at: kept.endsAt });
        continue;
      }
      this.forgotten ||= !isOver;
      this.end(kept);
    }
    if (this.head > 1_000 && this.head * 2 > this.order.length) {
      this.order = this.order.slice(this.head);
      this.head = 0;
    }
  }
}
