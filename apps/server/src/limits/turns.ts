/** Long enough to keep pipelined requests fast, and short enough that nobody notices the wait. */
const TURN_MS = 5;

/**
 * Shares the processor between connections that have sent requests ahead. Each does one short piece of work in turn.
 * After 5 ms the event loop goes on, so that requests of other connections are read and answered in between.
 */
export class Turns {
  /** In order of arrival. */
  private readonly waiting = new Set<() => void>();
  private running = false;
  private hurried = false;

  /** Puts `work` at the end of the line, unless it is in the line already. */
  wait(work: () => void): void {
    this.waiting.add(work);
    if (this.running) return;
    this.running = true;
    setImmediate(() => this.turn());
  }

  /** Makes the next turn as short as possible: one piece of work. */
  hurry(): void {
    this.hurried = true;
  }

  private turn(): void {
    const end = performance.now() + (this.hurried ? 0 : TURN_MS);
    this.hurried = false;
    const next = (): void => {
      const [work] = this.waiting;
      if (work === undefined) {
        this.running = false;
        return;
      }
      this.waiting.delete(work);
      work();
      // Most of a request's work is done in promises. They run before this tick, so that their time counts.
      queueMicrotask(() =>
        process.nextTick(() => (performance.now() < end ? next() : setImmediate(() => this.turn()))),
      );
    };
    next();
  }
}
