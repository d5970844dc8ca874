import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as a double of a protocol sees it. */
export interface DoubleRequest {
  readonly method: string;
  readonly path: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface DoubleAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A local double of a service: it checks what it is sent, and says what was wrong with it. */
export interface Double {
  /** What it was sent that its protocol does not allow. */
  readonly problems: readonly string[];
  answer(request: DoubleRequest): DoubleAnswer | Promise<DoubleAnswer>;
}

/** The double behind a real socket, for tests of the whole system. */
export async function served(double: Double): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    void (async () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const body = await text(request);
      const answer = await double.answer({ method: request.method!, path: request.url!, headers, body });
      response.writeHead(answer.status, answer.headers).end(answer.body);
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
