import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';

/** What a double answers: a status, a JSON body and headers; `undefined` never answers. */
export interface DoubleAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface DoubleCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly privateToken: string | undefined;
  readonly contentType: string;
  readonly text: string;
}

/** An HTTP service that keeps every call. */
export class HttpDouble {
  readonly calls: DoubleCall[] = [];
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(answer: (call: DoubleCall) => DoubleAnswer | undefined): Promise<HttpDouble> {
    const server = createServer((request, response) => {
      void textOf(request).then((text) => {
        const target = new URL(request.url ?? '/', 'http://double');
        const call: DoubleCall = {
          method: request.method ?? '',
          path: target.pathname,
          query: target.searchParams,
          authorization: request.headers.authorization,
          privateToken: request.headers['private-token'] as string | undefined,
          contentType: request.headers['content-type'] ?? '',
          text,
        };
        double.calls.push(call);
        const given = answer(call);
        if (!given) return;
        const { status, body, headers } = given;
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(body === undefined ? '' : JSON.stringify(body));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const double = new HttpDouble(server, `http://127.0.0.1:${(server.address() as { port: number }).port}`);
    return double;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export interface SlackMessage {
  readonly channel: string;
  readonly text: string;
  readonly ts: string;
  readonly thread_ts?: string;
  readonly blocks?: readonly unknown[];
  readonly metadata?: unknown;
}

/** Slack's Web API as far as messages go. It checks the token, the content type and the fields, as Slack does. */
export class SlackDouble {
  static readonly TOKEN = 'xoxb-1-double';
  readonly messages: SlackMessage[] = [];
  readonly replies: { readonly path: string; readonly body: Record<string, unknown> }[] = [];
  /** The next answers to `chat.postMessage`, in place of its own. `lost`: the message is kept, and no answer comes. */
  readonly next: (DoubleAnswer | 'lost')[] = [];
  private http!: HttpDouble;

  static async start(): Promise<SlackDouble> {
    const double = new SlackDouble();
    double.http = await HttpDouble.start((call) => double.answer(call));
    return double;
  }
  get apiUrl(): string {
    return `${this.http.url}/api`;
  }
  get responseUrl(): string {
    return `${this.http.url}/commands/T1/2/secret-of-the-reply`;
  }
  get calls(): readonly DoubleCall[] {
    return this.http.calls;
  }
  stop(): Promise<void> {
    return this.http.stop();
  }

  private answer(call: DoubleCall): DoubleAnswer | undefined {
    if (call.path.startsWith('/commands/')) {
      this.replies.push({ path: call.path, body: JSON.parse(call.text) as Record<string, unknown> });
      return { status: 200 };
    }
    const no = (error: string) => ({ status: 200, body: { ok: false, error } });
    if (call.authorization !== `Bearer ${SlackDouble.TOKEN}`) return no('invalid_auth');
    switch (call.path) {
      case '/api/chat.postMessage': {
        const planned = this.next.shift();
        if (planned && planned !== 'lost') return planned;
        if (!call.contentType.startsWith('application/json')) return no('invalid_arguments');
        const said = JSON.parse(call.text) as Omit<SlackMessage, 'ts'>;
        if (typeof said.text !== 'string' || said.text === '') return no('no_text');
        const channel = this.channels[said.channel] ?? said.channel;
        if (!Object.values(this.channels).includes(channel)) return no('channel_not_found');
        const message = { ...said, channel, ts: `1732108455.${String(this.messages.length + 1).padStart(6, '0')}` };
        this.messages.push(message);
        return planned === 'lost' ? undefined : { status: 200, body: { ok: true, channel, ts: message.ts, message } };
      }
      case '/api/conversations.list':
        return {
          status: 200,
          body: {
            ok: true,
            channels: Object.entries(this.channels).map(([name, id]) => ({ id, name: name.slice(1) })),
            response_metadata: { next_cursor: '' },
          },
        };
      case '/api/conversations.history': {
        if (call.query.get('include_all_metadata') !== 'true') return no('invalid_arguments');
        const messages = this.messages.filter(({ channel }) => channel === call.query.get('channel'));
        return { status: 200, body: { ok: true, messages, response_metadata: { next_cursor: '' } } };
      }
      default:
        return no('unknown_method');
    }
  }
  private readonly channels: Readonly<Record<string, string>> = { '#ops': 'C024BE91L', '#dev': 'C024BE92M' };
}
