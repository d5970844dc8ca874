import { type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { buffer } from 'node:stream/consumers';

import { Unreachable } from './failures.js';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Of this connection, not of the saved one. */
const OF_THE_CONNECTION = new Set([
  'host',
  'content-length',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'expect',
]);
const PATIENCE_MS = 60_000;

/** One request with exactly these headers and bytes: `fetch` adds headers of its own. @throws Unreachable */
export async function exchange(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const own = Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name)));
  try {
    return await new Promise<HttpAnswer>((resolve, reject) => {
      const ask = url.startsWith('https:') ? requestHttps : requestHttp;
      const patience = AbortSignal.timeout(PATIENCE_MS);
      const options = {
        method,
        headers: { ...own, 'content-length': body.length },
        agent: false as const,
        signal: AbortSignal.any([signal, patience]),
      };
      const request = ask(url, options, (response) => {
        buffer(response).then(
          (bytes) => resolve({ status: response.statusCode!, headers: response.headers, body: bytes }),
          reject,
        );
      });
      request.on('error', reject);
      request.end(body);
    });
  } catch (error) {
    if (signal.aborted) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Unreachable(`No server answered at ${new URL(url).origin} (${code ?? message}). Is the server running?`);
  }
}
