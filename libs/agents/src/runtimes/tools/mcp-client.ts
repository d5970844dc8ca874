import type { Egress, EgressOutcome } from '#libs/egress/src/egress.js';
import { isObject } from '#libs/kernel/src/json.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

const VERSION = '2025-06-18';
const MAX_PAGES = 20;
const CLOSE_TIMEOUT_MS = 5_000;

/** Why an MCP server gave no result. `wasSent`: it may have carried out the call. */
export class McpError extends Error {
  override readonly name = 'McpError';
  constructor(
    message: string,
    readonly wasSent: boolean,
  ) {
    super(message);
  }
}

export interface McpServer {
  readonly egress: Egress;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * A session with an MCP server over Streamable HTTP: the part of the protocol that calling tools needs. A session lasts for
 * one call or one list, so that nothing depends on the process. It repeats nothing: each call is recorded before it is sent.
 * Why this is not the official client: docs/decisions/mcp-client.md.
 */
export class McpSession {
  private nextId = 1;
  private sessionId: string | undefined;
  private version: string | undefined;

  private constructor(private readonly server: McpServer) {}

  /** @throws McpError */
  static async open(server: McpServer): Promise<McpSession> {
    const session = new McpSession(server);
    const clientInfo = { name: 'millrace', version: '1' };
    try {
      const result = await session.request('initialize', { protocolVersion: VERSION, capabilities: {}, clientInfo });
      session.version = typeof result['protocolVersion'] === 'string' ? result['protocolVersion'] : VERSION;
    } catch (error) {
      // Whatever became of the request: it calls no tool.
      throw error instanceof McpError ? new McpError(error.message, false) : error;
    }
    await session.exchange('POST', { jsonrpc: '2.0', method: 'notifications/initialized' }, {});
    return session;
  }

  async tools(): Promise<readonly Fields[]> {
    const all: Fields[] = [];
    let cursor: unknown;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { tools, nextCursor } = await this.request('tools/list', cursor === undefined ? {} : { cursor });
      if (Array.isArray(tools)) all.push(...tools.filter(isObject));
      if (nextCursor === undefined || nextCursor === null) break;
      cursor = nextCursor;
    }
    return all;
  }

  /** @param key under which the server recognises a repeat. */
  call(name: string, args: unknown, key: string): Promise<Fields> {
    return this.request('tools/call', { name, arguments: args, _meta: { 'millrace/idempotencyKey': key } }, key);
  }

  /** Nobody waits for it, so that a result is recorded at once: a server forgets sessions by itself. */
  close(): void {
    if (this.sessionId === undefined) return;
    this.exchange('DELETE', undefined, {}, CLOSE_TIMEOUT_MS).catch(() => undefined);
  }

  private async request(method: string, params: object, key?: string): Promise<Fields> {
    const id = this.nextId++;
    const headers = key === undefined ? {} : { 'Idempotency-Key': key };
    const outcome = await this.exchange('POST', { jsonrpc: '2.0', id, method, params }, headers);
    if (outcome.kind === 'failed') throw new McpError(outcome.detail, mayHaveArrived(outcome));
    const { status, body } = outcome;
    if (status < 200 || status >= 300) throw new McpError(`The MCP server answered ${status}.`, status >= 500);
    this.sessionId ??= outcome.headers['mcp-session-id'];
    const answer = messagesIn(body.toString('utf8'), outcome.headers['content-type'] ?? '').find(
      (one) => one['id'] === id,
    );
    if (!answer) throw new McpError('The MCP server gave no answer to the request.', true);
    if (isObject(answer['error']))
      throw new McpError(`The MCP server refused: ${String(answer['error']['message'])}`, false);
    return isObject(answer['result']) ? answer['result'] : {};
  }

  private exchange(
    method: string,
    message: object | undefined,
    more: Record<string, string>,
    timeoutMs = this.server.timeoutMs,
  ): Promise<EgressOutcome> {
    const { egress, url, headers, maxBytes, signal } = this.server;
    return egress.request({
      method,
      url,
      headers: {
        ...headers,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        ...(this.sessionId !== undefined && { 'Mcp-Session-Id': this.sessionId }),
        ...(this.version !== undefined && { 'MCP-Protocol-Version': this.version }),
        ...more,
      },
      ...(message && { body: stringifyJson(message) }),
      timeoutMs,
      keepBytes: maxBytes,
      maxBytes,
      signal,
    });
  }
}

const mayHaveArrived = ({ failureClass }: Extract<EgressOutcome, { kind: 'failed' }>): boolean =>
  !['dns', 'tls', 'refused_address'].includes(failureClass);

/** JSON, or the events of a stream that ends with the answer. */
function messagesIn(body: string, type: string): readonly Fields[] {
  const texts = type.startsWith('text/event-stream')
    ? body.split(/\r?\n\r?\n/).map((event) =>
        event
          .split(/\r?\n/)
          .flatMap((line) => (line.startsWith('data:') ? [line.slice(5).trimStart()] : []))
          .join('\n'),
      )
    : [body];
  return texts.flatMap((text) => {
    try {
      const message = parseJson(text);
      return (Array.isArray(message) ? message : [message]).filter(isObject);
    } catch {
      return [];
    }
  });
}
