/** Who is the active one, over all processes. Its own injection token. */
export abstract class Locks {
  /**
   * Waits until this process holds the lock `name`, runs `work`, and gives the lock back when that ends. When the lock
   * is lost, the signal given to `work` aborts, and once `work` has ended the process competes again.
   *
   * Resolves when `stop` has aborted and `work` has ended, or when `work` ended by itself. The lock of a process that
   * dies is free at once, that of a machine that vanishes within 10 seconds.
   */
  abstract hold(name: string, stop: AbortSignal, work: (lost: AbortSignal) => Promise<void>): Promise<void>;
}

/** Short messages between processes; may be lost. Everybody who waits for one also looks from time to time. */
export abstract class Signals {
  /** `text` is at most 1,000 characters. Never throws. */
  abstract send(topic: string, text: string): void;
  /** Hears what other processes and this one send. @returns a function that ends it. */
  abstract listen(topic: string, listener: (text: string) => void): () => void;
}
