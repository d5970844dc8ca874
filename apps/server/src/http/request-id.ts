import { randomUUID } from 'node:crypto';

const SANE_ID = /^[\w.:+=/-]{1,128}$/;

/** What the client or a proxy calls the request, so that its logs and ours can be put together. */
export function requestIdOf({
  headers,
}: {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && SANE_ID.test(given) ? given : randomUUID();
}
