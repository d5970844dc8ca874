import { Transient } from '#libs/kernel/src/errors.js';
import { type Backoff, backoff } from '#libs/kernel/src/time/backoff.js';

const RETRIES: Backoff = { first: 20, max: 1_000 };

/** What was done must not be lost because the log is away for a while: the same append is tried until it succeeds. */
export async function retryWhileAway<T>(
  append: () => Promise<T>,
  signal: AbortSignal,
  retries: Backoff = RETRIES,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await append();
    } catch (error) {
      if (!(error instanceof Transient) || signal.aborted) throw error;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, backoff(tries, retries));
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}
