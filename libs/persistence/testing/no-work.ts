import type { SubscriberContext } from '#libs/event-store/src/subscriber.js';

import { type Work, WorkQueue } from '../src/claims/work.js';

class NoWork extends WorkQueue {
  override schedule(): Promise<void> {
    return Promise.reject(new Error('nothing here leaves work for later'));
  }
  override remove(): Promise<void> {
    return this.schedule();
  }
  override async takeBack(): Promise<readonly Work[]> {
    await this.schedule();
    return [];
  }
  override async unended(): Promise<ReadonlySet<string>> {
    return this.withdraw();
  }
  override async withdraw(): Promise<ReadonlySet<string>> {
    await this.schedule();
    return new Set();
  }
}

/** For what needs a queue and does not use it. */
export const noWork: WorkQueue = new NoWork();

/** For a subscriber that needs no database for what is tested. */
export const noTransaction: SubscriberContext = {
  signal: new AbortController().signal,
  transaction: () => Promise.reject(new Error('nothing here needs the database')),
};
