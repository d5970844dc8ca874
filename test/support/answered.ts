import { waitFor } from '#libs/kernel/testing/wait-for.js';

/**
 * The body of the first answer with success. A request that is sent again after its process died may find its
 * `Idempotency-Key` held, until that process is known to be dead.
 */
export const answeredAtLast = <T extends object>(send: () => Promise<Response>): Promise<T> =>
  waitFor('the request to be answered', async () => {
    const answer = await send();
    if (answer.ok) return (await answer.json()) as T;
    await answer.body?.cancel();
    return undefined;
  });
