/** Beyond this, `setTimeout` fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Calls `act` once after so many milliseconds, however many: for times that users choose.
 * @returns what stops it.
 */
export function startTimer(milliseconds: number, act: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    timer = left > LONGEST_MS ? setTimeout(() => wait(left - LONGEST_MS), LONGEST_MS) : setTimeout(act, left);
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}
