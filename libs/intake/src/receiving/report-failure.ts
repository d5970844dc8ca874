import type { Log } from '#libs/kernel/src/log.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

/** Logs a bug of a provider, with its stack. It never costs the sender what was sent. */
export function reportFailure(log: Log, provider: Provider, method: string, error: unknown): void {
  const err = error instanceof Error ? error : new Error(String(error));
  log.error({ provider: provider.name, method, err }, 'a provider failed');
}
