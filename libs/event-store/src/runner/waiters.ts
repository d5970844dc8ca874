import { Transient } from '#libs/kernel/src/errors.js';

interface Waiter {
  readonly position: bigint;
  readonly done: () => void;
}

/** Those who wait for one follower to reach a place in the log. */
export class Waiters {
  private waiting: Waiter[] = [];
  private at = -1n;

  constructor(
    private readonly name: string,
    /** Called when somebody begins to wait. */
    private readonly hurry: () => void = () => undefined,
  ) {}

  get position(): bigint {
    return this.at;
  }

  get someWait(): boolean {
    return this.waiting.length > 0;
  }

  /** Never goes back. */
  reach(position: bigint): void {
    if (position <= this.at) return;
    this.at = position;
    if (this.waiting.length === 0) return;
    const [there, left] = [[] as Waiter[], [] as Waiter[]];
    for (const waiter of this.waiting) (waiter.position <= position ? there : left).push(waiter);
    this.waiting = left;
    for (const { done } of there) done();
  }

  /** @throws Transient `subscriber.behind` */
  async until(position: bigint, timeoutMs: number): Promise<void> {
    if (position <= this.at) return;
    await new Promise<void>((done, fail) => {
      const timer = setTimeout(() => {
        this.waiting = this.waiting.filter((one) => one !== waiter);
        fail(behind(this.name, position, timeoutMs));
      }, timeoutMs).unref();
      const waiter: Waiter = {
        position,
        done: () => {
          clearTimeout(timer);
          done();
        },
      };
      this.waiting.push(waiter);
      this.hurry();
    });
  }
}

export const behind = (name: string, position: bigint, timeoutMs: number): Transient =>
  new Transient(
    'subscriber.behind',
    `${name} has not reached position ${position} within ${timeoutMs} ms. The change is stored; read it again in a moment.`,
  );
