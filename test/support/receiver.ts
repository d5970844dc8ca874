import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';

export interface ReceivedCall {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly at: number;
  readonly status: number;
}

/** A receiver of outbound webhooks that answers as it is told and remembers every call. */
export class Receiver {
  readonly calls: ReceivedCall[] = [];
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  /** `answer` gives the status for the nth call (from 1) of one `webhook-id`, `text` the body where that is a success. */
  static async start(
    answer: (nth: number, call: { path: string; body: Buffer }) => number = () => 200,
    text: (call: { path: string }) => string = () => 'ok',
  ) {
    const counts = new Map<string, number>();
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const key = `${request.url} ${String(request.headers['webhook-id'])}`;
        const nth = (counts.get(key) ?? 0) + 1;
        counts.set(key, nth);
        const path = request.url ?? '';
        const status = answer(nth, { path, body });
        receiver.calls.push({ path, headers: request.headers, body, at: Date.now(), status });
        response.writeHead(status, { 'content-type': 'text/plain' }).end(status < 300 ? text({ path }) : 'no');
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const receiver = new Receiver(server, `http://127.0.0.1:${(server.address() as { port: number }).port}`);
    return receiver;
  }

  /** Calls by `webhook-id`. */
  byMessage(path?: string): Map<string, ReceivedCall[]> {
    const groups = new Map<string, ReceivedCall[]>();
    for (const call of this.calls) {
      if (path !== undefined && call.path !== path) continue;
      const id = String(call.headers['webhook-id']);
      groups.set(id, [...(groups.get(id) ?? []), call]);
    }
    return groups;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
