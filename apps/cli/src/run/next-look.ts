const LOOK_AGAIN_MS = 1_000;

/** Resolves after a second, or at once when the command is interrupted. */
export async function nextLook(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, LOOK_AGAIN_MS);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
