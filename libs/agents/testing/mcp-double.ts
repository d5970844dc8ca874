import type { Double, DoubleAnswer, DoubleRequest } from './double.js';

export interface DoubleTool {
  readonly name: string;
  readonly inputSchema?: object;
  readonly annotations?: { readonly readOnlyHint?: boolean; readonly idempotentHint?: boolean };
  /** What it does; each call that reaches it is one effect. */
  readonly run?: (args: Record<string, unknown>) => string;
  /** Does it, and answers nothing that can be read. */
  readonly isLost?: boolean;
}

interface Message {
  readonly jsonrpc?: string;
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
}

/** An MCP server over Streamable HTTP that knows its sessions, answers as JSON or as a stream, and counts what it did. */
export class McpDouble implements Double {
  readonly problems: string[] = [];
  /** Calls that reached a tool, with the key under which it would recognise a repeat. */
  readonly effects: { readonly tool: string; readonly args: unknown; readonly key: unknown }[] = [];
  private readonly sessions = new Set<string>();

  constructor(
    private readonly tools: readonly DoubleTool[],
    private readonly as: 'json' | 'stream' = 'stream',
    /** `2026-07-28` alone: it has no sessions, and no `initialize`. */
    private readonly era: 'sessions' | 'stateless' = 'sessions',
  ) {}

  answer({ method, headers, body }: DoubleRequest): DoubleAnswer {
    const session = headers['mcp-session-id'];
    if (method === 'DELETE') {
      if (!this.sessions.delete(session ?? '')) this.problems.push('a session ends that is not there');
      return { status: 204, body: '' };
    }
    if (method !== 'POST') return { status: 405, body: '' };
    if (!/application\/json.*text\/event-stream/.test(headers['accept'] ?? ''))
      this.problems.push('it takes no streams');
    const { jsonrpc, id, method: called, params = {} } = JSON.parse(body) as Message;
    if (jsonrpc !== '2.0') this.problems.push('it is not JSON-RPC 2.0');
    if (this.era === 'stateless')
      return this.stateless(headers, { id, params, ...(called !== undefined && { method: called }) });
    if (called === 'initialize') {
      const opened = `session-${this.sessions.size + 1}`;
      this.sessions.add(opened);
      const serverInfo = { name: 'double', version: '1' };
      return this.result(
        id,
        { protocolVersion: params['protocolVersion'], capabilities: { tools: {} }, serverInfo },
        opened,
      );
    }
    if (!this.sessions.has(session ?? '')) return { status: 404, body: '' };
    if (headers['mcp-protocol-version'] === undefined) this.problems.push('it names no version of the protocol');
    if (called === 'notifications/initialized') return { status: 202, body: '' };
    if (called === 'tools/list') return this.list(id, params['cursor']);
    return called === 'tools/call' ? this.call(id, params) : this.error(id, 'there is no such method');
  }

  /** Refuses what the revision says that a server must refuse. */
  private stateless(
    headers: DoubleRequest['headers'],
    {
      id,
      method = '',
      params,
    }: { readonly id: number | undefined; readonly method?: string; readonly params: Record<string, unknown> },
  ): DoubleAnswer {
    const refused = (code: number, message: string, data: object = {}): DoubleAnswer => ({
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, data } }),
    });
    const meta = (params['_meta'] ?? {}) as Record<string, unknown>;
    const version = meta['io.modelcontextprotocol/protocolVersion'];
    if (version !== '2026-07-28') {
      const data = { supported: ['2026-07-28'], requested: version ?? params['protocolVersion'] };
      return refused(-32022, 'Unsupported protocol version', data);
    }
    if (typeof meta['io.modelcontextprotocol/clientCapabilities'] !== 'object')
      return refused(-32602, 'clientCapabilities is missing');
    const name = params['name'] as string | undefined;
    const inHeader = headers['mcp-name'];
    const decoded = inHeader && /^=\?base64\?(.*)\?=$/.exec(inHeader)?.[1];
    const sentName = decoded ? Buffer.from(decoded, 'base64').toString() : inHeader;
    if (headers['mcp-protocol-version'] !== version || headers['mcp-method'] !== method || sentName !== name)
      return refused(-32020, 'Headers and body do not match');
    if (headers['mcp-session-id'] !== undefined) this.problems.push('it has a session');
    if (method === 'server/discover')
      return this.result(id, {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
      });
    if (method === 'tools/list') return this.list(id, params['cursor']);
    return method === 'tools/call' ? this.call(id, params) : this.error(id, 'there is no such method');
  }

  /** One tool a page. */
  private list(id: number | undefined, cursor: unknown): DoubleAnswer {
    const at = Number(cursor ?? 0);
    const tools = this.tools.slice(at, at + 1).map(({ name, inputSchema = { type: 'object' }, annotations }) => ({
      name,
      description: `The tool ${name}.`,
      inputSchema,
      annotations,
    }));
    const nextCursor = at + 1 < this.tools.length ? { nextCursor: String(at + 1) } : {};
    return this.result(id, { tools, ...nextCursor });
  }

  private call(id: number | undefined, params: Record<string, unknown>): DoubleAnswer {
    const tool = this.tools.find(({ name }) => name === params['name']);
    if (!tool) return this.error(id, 'there is no such tool');
    const args = params['arguments'] as Record<string, unknown>;
    this.effects.push({
      tool: tool.name,
      args,
      key: (params['_meta'] as Record<string, unknown> | undefined)?.['millrace/idempotencyKey'],
    });
    if (tool.isLost) return { status: 502, body: '' };
    const output = tool.run?.(args) ?? 'done';
    return this.result(id, { content: [{ type: 'text', text: output }], isError: false });
  }

  private result(id: number | undefined, given: object, session?: string): DoubleAnswer {
    const result = this.era === 'stateless' ? { resultType: 'complete', ...given } : given;
    return this.message({ jsonrpc: '2.0', id, result }, session);
  }
  private error(id: number | undefined, message: string): DoubleAnswer {
    return this.message({ jsonrpc: '2.0', id, error: { code: -32601, message } });
  }
  private message(message: object, session?: string): DoubleAnswer {
    const more: Record<string, string> = session === undefined ? {} : { 'mcp-session-id': session };
    const text = JSON.stringify(message);
    if (this.as === 'json')
      return { status: 200, headers: { 'content-type': 'application/json', ...more }, body: text };
    const notice = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: {} });
    const body = `event: message\ndata: ${notice}\n\nevent: message\ndata: ${text}\n\n`;
    return { status: 200, headers: { 'content-type': 'text/event-stream', ...more }, body };
  }
}
