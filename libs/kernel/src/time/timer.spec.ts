import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { startTimer } from './timer.js';

const DAY = 86_400_000;

describe('a timer', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it.each([0, 1, 1_000, 24 * DAY, 2 ** 31 - 1, 2 ** 31, 25 * DAY, 366 * DAY])(
    'of %d ms fires then, and neither before nor again',
    (milliseconds) => {
      const act = jest.fn();
      startTimer(milliseconds, act);
      jest.advanceTimersByTime(Math.max(0, milliseconds - 1));
      expect(act).toHaveBeenCalledTimes(milliseconds === 0 ? 1 : 0);
      jest.advanceTimersByTime(2 * milliseconds + 10);
      expect(act).toHaveBeenCalledTimes(1);
    },
  );

  it.each([0, 20 * DAY, 30 * DAY, 300 * DAY])('that is stopped after %d ms never fires', (after) => {
    const act = jest.fn();
    const stop = startTimer(301 * DAY, act);
    jest.advanceTimersByTime(after);
    stop();
    jest.advanceTimersByTime(400 * DAY);
    expect(act).not.toHaveBeenCalled();
    expect(jest.getTimerCount()).toBe(0);
  });
});
