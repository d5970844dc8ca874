import type { TestServer } from '../../support/server.js';
import { pollGently } from './poll-gently.js';

interface Followers {
  readonly data: readonly { readonly lag: number }[];
}

/**
 * Resolves when every follower has handled the whole log. A follower at the end of the log may just have appended an event
 * that another one has not seen, so nothing may have been appended while they were asked. For a server of one process.
 */
export async function caughtUp(server: TestServer): Promise<void> {
  const noneLags = async (): Promise<boolean> =>
    (await server.get<Followers>('/api/v1/subscribers')).data.every(({ lag }) => lag === 0);
  await pollGently(
    'the end of the log',
    async () => {
      if (!(await noneLags())) return false;
      const before = await appended(server);
      return (await noneLags()) && (await appended(server)) === before;
    },
    () => server.output,
  );
}

/** Events that this process has appended so far. */
async function appended(server: TestServer): Promise<number> {
  const text = await server.text('/metrics');
  let sum = 0;
  for (const [, count] of text.matchAll(/^millrace_events_appended_total\{[^}]*\} (\d+)/gm)) sum += Number(count);
  return sum;
}
