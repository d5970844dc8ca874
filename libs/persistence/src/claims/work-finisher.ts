import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { Done, WorkClaims } from './work-claims.adapter.js';

interface Waiting {
  readonly done: Done;
  readonly isLost: () => boolean;
  readonly settle: (due: number) => void;
}

/** So long a report waits: usually the projection of the outcome has moved the row by then, and there is nothing to report. */
const LINGER_MS = 150;

/** Reports finished work, in sets. */
export class Finisher {
  private waiting: Waiting[] = [];
  private flushing: Promise<void> | undefined;
  private hurrying = new AbortController();

  constructor(
    private readonly queue: string,
    private readonly claims: Pick<WorkClaims, 'finish'>,
    private readonly log: Log,
    private readonly lingerMs = LINGER_MS,
  ) {}

  /**
   * Resolves when the row is given back, or gone, or the claim is lost; the database being away only delays it.
   * @returns when a row of the same report is due again (milliseconds since 1970), or Infinity.
   */
  finish(done: Done, isLost: () => boolean): Promise<number> {
    return new Promise((settle) => {
      this.waiting.push({ done, isLost, settle });
      this.flushing ??= this.flush().finally(() => (this.flushing = undefined));
    });
  }

  /** These rows tell all by themselves. */
  forget(keys: readonly string[]): void {
    if (this.waiting.length === 0) return;
    const gone = new Set(keys);
    this.waiting = this.waiting.filter(({ done, settle }) => !gone.has(done.key) || settle(Infinity) !== undefined);
  }

  /** Reports what waits now, and from now on at once. */
  hurry(): void {
    this.hurrying.abort();
  }

  private async flush(): Promise<void> {
    while (this.waiting.length > 0) {
      const { signal } = this.hurrying;
      await delay(signal.aborted ? 0 : this.lingerMs, undefined, { signal }).catch(() => undefined);
      const batch = this.waiting.filter((one) => !one.isLost() || one.settle(Infinity) !== undefined);
      this.waiting = [];
      if (batch.length === 0) continue;
      try {
        const { left, due } = await this.claims.finish(
          this.queue,
          batch.map(({ done }) => done),
        );
        for (const one of batch) {
          if (left.has(one.done.key)) this.waiting.push(one);
          else one.settle(due);
        }
        if (left.size > 0) await delay(5);
      } catch (error) {
        this.log.warn({ queue: this.queue, error: messageOf(error) }, 'finished work cannot be recorded now');
        this.waiting.push(...batch);
        await delay(200);
      }
    }
  }
}
