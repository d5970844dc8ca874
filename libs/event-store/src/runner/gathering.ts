/** Most often that a subscriber that gathers begins a batch, unless somebody waits for it. */
export const GATHER_MS = 100;

/** The pause of a subscriber that gathers: what arrives meanwhile is in its next batch. */
export class Gathering {
  private end: (() => void) | undefined;

  constructor(private readonly everyMs: number) {}

  /** @param began when the last batch began: after a quiet time there is no pause. */
  async pause(began: number, signal: AbortSignal): Promise<void> {
    const left = this.everyMs - (performance.now() - began);
    if (left <= 0 || signal.aborted) return;
    const hurry = (): void => this.hurry();
    signal.addEventListener('abort', hurry);
    await new Promise<void>((done) => {
      const timer = setTimeout(done, left);
      this.end = () => {
        clearTimeout(timer);
        done();
      };
    });
    this.end = undefined;
    signal.removeEventListener('abort', hurry);
  }

  /** Somebody waits. */
  hurry(): void {
    this.end?.();
  }
}
