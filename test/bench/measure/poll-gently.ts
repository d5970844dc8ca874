import { setTimeout as delay } from 'node:timers/promises';

const LONGEST_PAUSE_MS = 200;
/** For what will never come. */
const LIMIT_MS = 3_600_000;

/** Polls with growing pauses until `condition` holds: polling costs the server CPU time that would be counted as its own. */
export async function pollGently(
  what: string,
  condition: () => Promise<boolean>,
  more: () => string = () => '',
): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  for (let pause = 10; !(await condition()); pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    if (Date.now() > deadline) throw new Error(`${what} did not come within an hour\n${more()}`);
    await delay(pause);
  }
}
