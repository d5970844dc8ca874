import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '#libs/kernel/src/errors.js';
import type { Log } from '#libs/kernel/src/log.js';

import type { Done, WorkClaims } from './work-claims.adapter.js';

interface Waiting {
  readonly done: Done;
  readonly isLost: () => boolean;
  readonly settle: (due: number) => void;
}

/** Reports finished work: what arrives while a report is under way goes into the next one, so that none waits for a timer. */
export class Finisher {
  private waiting: Waiting[] = [];
  private flushing: Promise<void> | undefined;

  constructor(
    private readonly queue: string,
    private readonly claims: Pick<WorkClaims, 'finish'>,
    private readonly log: Log,
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

  private async flush(): Promise<void> {
    // What finishes in the same turn of the event loop goes together.
    await Promise.resolve();
    while (this.waiting.length > 0) {
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
