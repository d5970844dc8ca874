import { setMaxListeners } from 'node:events';

import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { refusalOf, Unreachable } from './failures.js';
import type { Target } from './profile.js';

/** REST of one server. */
export class Connection {
  constructor(
    private readonly target: Target,
    private readonly signal: AbortSignal,
  ) {
    // One for each call under way, which are more than the ten that Node takes for a leak.
    setMaxListeners(100, signal);
  }

  /** @throws ServerSaidNo, Unreachable */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    // Of this call alone: `fetch` leaves a listener on its signal until memory is tidied up, one for each of thousands.
    const own = new AbortController();
    const end = (): void => own.abort(this.signal.reason);
    if (this.signal.aborted) end();
    this.signal.addEventListener('abort', end);
    try {
      const answer = await this.fetch(method, path, 'application/json', body, own.signal);
      const text = await answer.text();
      if (!answer.ok) throw refusalOf(answer.status, text);
      return (text === '' ? undefined : parseAsWritten(text)) as T;
    } finally {
      this.signal.removeEventListener('abort', end);
    }
  }

  /** @throws ServerSaidNo, Unreachable */
  async stream(path: string, body: unknown, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.fetch('POST', path, 'application/x-ndjson', body, signal);
    if (!answer.ok) throw refusalOf(answer.status, await answer.text());
    return answer.body as AsyncIterable<Uint8Array>;
  }

  /** @throws ServerSaidNo, Unreachable; the latter also while it is read */
  async download(path: string, accept: string): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.fetch('GET', path, accept, undefined, this.signal);
    if (!answer.ok) throw refusalOf(answer.status, await answer.text());
    return this.whole(answer.body as AsyncIterable<Uint8Array>);
  }

  private async *whole(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      if (this.signal.aborted) throw error;
      throw new Unreachable(`The answer is incomplete: the connection closed (${reasonOf(error)}). Try again.`);
    }
  }

  private async fetch(
    method: string,
    path: string,
    accept: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Response> {
    const { url, token } = this.target;
    try {
      return await fetch(`${url}${path}`, {
        method,
        headers: {
          accept,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: stringifyJson(body) }),
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Unreachable(
        `No Millrace server answered at ${url} (${reasonOf(error)}). Check that the server runs, or set --url (MILLRACE_URL).`,
      );
    }
  }
}

/** `fetch` hides it: ECONNREFUSED, ENOTFOUND … */
export function reasonOf(error: unknown): string {
  const { cause, code, message } = error as Error & { cause?: Error & { code?: string }; code?: string };
  return cause?.code ?? code ?? cause?.message ?? message;
}
