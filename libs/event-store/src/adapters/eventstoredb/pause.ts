const FIRST_MS = 50;
const LONGEST_MS = 1_000;

/** How long to wait after the given number of failures: doubling from 50 ms to a second, with jitter of a half. */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return longest * (0.5 + random() / 2);
}

export const pauseBefore = (tries: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, pauseAfter(tries)));
