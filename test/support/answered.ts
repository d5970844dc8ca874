import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { ADMIN_TOKEN, type TestServer } from './server.js';

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

/**
 * Publishes an event, or asks for something else, at a server that dies of it, and once more, as the same request, at the one
 * that `restart` starts: the first may have died before it answered.
 */
export async function publishedAcrossDeath(
  dying: TestServer,
  restart: () => Promise<TestServer>,
  key: string,
  body: { readonly type: string; readonly source: string; readonly data: object } | { readonly text: string },
  path = '/api/v1/events',
): Promise<{ readonly server: TestServer; readonly id: string }> {
  const publish = ({ url }: TestServer): Promise<Response> =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
  await publish(dying).catch(() => undefined);
  await waitFor(
    'the server to die',
    () => dying.exited,
    () => dying.output,
  );
  if (dying.child.signalCode !== 'SIGKILL') throw new Error(`the server ended by itself:\n${dying.output}`);
  const server = await restart();
  const { id } = await answeredAtLast<{ readonly id: string }>(() => publish(server));
  return { server, id };
}
