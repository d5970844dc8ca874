import { setTimeout as delay } from 'node:timers/promises';

import { backoff } from '#libs/kernel/src/time/backoff.js';

/** Milliseconds to wait after the given number of failures: from 50 to a second. */
export const pauseAfter = (failures: number, random?: number): number =>
  backoff(failures, { first: 50, max: 1_000 }, random);

export const pauseBefore = (tries: number): Promise<void> => delay(pauseAfter(tries));
