/**
 * Polls until `condition` holds, and resolves to what it gave; else fails with what was waited for and with `more`. The limit
 * ends what will never come: a test that depends on it depends on the machine.
 */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T | false | undefined> | T | false | undefined,
  more: () => string = () => '',
  timeoutMs = 240_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${timeoutMs} ms\n${more()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** {@link waitFor} whose condition says for itself what is waited for. */
export const until = (condition: () => Promise<boolean> | boolean): Promise<boolean> =>
  waitFor(condition.toString(), condition);
