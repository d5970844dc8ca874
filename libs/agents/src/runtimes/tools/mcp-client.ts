import type { Egress, EgressOutcome } from '#libs/egress/src/egress.js';
import { isObject } from '#libs/kernel/src/json.js';
import { isExactNumber, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/** Offered in `initialize`. */
const VERSION = '2025-06-18';
/** Without `initialize` and sessions: each request says what it needs. */
const STATELESS = '2026-07-28';
const META = 'io.modelcontextprotocol';
const CLIENT = { name: 'millrace', version: '1' };
const MAX_PAGES = 20;
const CLOSE_TIMEOUT_MS = 5_000;

/** Why an MCP server gave no result. `wasSent`: it may have carried out the call. */
export class McpError extends Error {
  override readonly name = 'McpError';
  constructor(
    message: string,
    readonly wasSent: boolean,
    /** The server answered, and did not do it. */
    readonly isRefusal = false,
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
 * A server that refuses `initialize` is asked with `server/discover` whether it speaks the protocol without sessions.
 * Why this is not the official client: docs/decisions/mcp-client.md.
 */
export class McpSession {
  private nextId = 1;
  private sessionId: string | undefined;
  private version: string | undefined;
  private isStateless = false;

  private constructor(private readonly server: McpServer) {}

  /** @throws McpError */
  static async open(server: McpServer): Promise<McpSession> {
    const session = new McpSession(server);
    const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: CLIENT };
    try {
      const result = await session.request('initialize', params);
      session.version = typeof result['protocolVersion'] === 'string' ? result['protocolVersion'] : VERSION;
    } catch (error) {
      if (!(error instanceof McpError)) throw error;
      if (error.isRefusal && (await session.discover(error.message))) return session;
      // Whatever became of the request: it calls no tool.
      throw new McpError(error.message, false);
    }
    await session.exchange('POST', { jsonrpc: '2.0', method: 'notifications/initialized' }, {});
    return session;
  }

  /** Whether the server speaks the protocol without sessions. @throws McpError that names its versions, where none is ours. */
  private async discover(refusal: string): Promise<boolean> {
    [this.isStateless, this.version, this.sessionId] = [true, STATELESS, undefined];
    let versions: unknown;
    try {
      versions = (await this.request('server/discover', {}))['supportedVersions'];
    } catch (error) {
      if (error instanceof McpError) return false;
      throw error;
    }
    if (Array.isArray(versions) && !versions.includes(STATELESS))
      throw new McpError(
        `${refusal} It supports the protocol versions ${versions.join(', ')}; agents use ${STATELESS}, or ${VERSION} and earlier.`,
        false,
      );
    return true;
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

  /**
   * @param key under which the server recognises a repeat.
   * @param inputSchema of the tool: it may name arguments that are repeated in headers.
   */
  async call(name: string, args: unknown, key: string, inputSchema: unknown = {}): Promise<Fields> {
    const params = { name, arguments: args, _meta: { 'millrace/idempotencyKey': key } };
    const routing = this.isStateless ? { 'Mcp-Name': headerValue(name), ...headersOf(inputSchema, args) } : {};
    const result = await this.request('tools/call', params, { 'Idempotency-Key': key, ...routing });
    const { resultType = 'complete' } = result;
    if (resultType === 'complete') return result;
    // The tool has not done it: it wants to be called again with answers that a person or a model would give.
    if (resultType === 'input_required')
      throw new McpError('The tool asks for input during the call. An agent gives all of it in the arguments.', false);
    throw new McpError(`The MCP server answered a result of the type "${String(resultType)}", which is unknown.`, true);
  }

  /** Nobody waits for it, so that a result is recorded at once: a server forgets sessions by itself. */
  close(): void {
    if (this.sessionId === undefined) return;
    this.exchange('DELETE', undefined, {}, CLOSE_TIMEOUT_MS).catch(() => undefined);
  }

  private async request(method: string, params: Fields, more: Record<string, string> = {}): Promise<Fields> {
    const id = this.nextId++;
    const message = { jsonrpc: '2.0', id, method, params: this.isStateless ? withMeta(params) : params };
    const headers = this.isStateless ? { 'Mcp-Method': method, ...more } : more;
    const outcome = await this.exchange('POST', message, headers);
    if (outcome.kind === 'failed') throw new McpError(outcome.detail, mayHaveArrived(outcome));
    const { status, body } = outcome;
    const messages = messagesIn(body.toString('utf8'), outcome.headers['content-type'] ?? '');
    if (status < 200 || status >= 300) {
      const text =
        messages.flatMap(({ error }) => (isObject(error) ? [`: ${String(error['message'])}`] : ['.']))[0] ?? '.';
      throw new McpError(`The MCP server answered ${status}${text}`, status >= 500, REFUSALS.has(status));
    }
    if (!this.isStateless) this.sessionId ??= outcome.headers['mcp-session-id'];
    const answer = messages.find((one) => one['id'] === id);
    if (!answer) throw new McpError('The MCP server gave no answer to the request.', true);
    if (isObject(answer['error']))
      throw new McpError(`The MCP server refused: ${String(answer['error']['message'])}`, false, true);
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

/** What a server answers to a method that it does not have. Credentials, limits and failures are other statuses. */
const REFUSALS: ReadonlySet<number> = new Set([400, 404, 405, 406, 422, 501]);

const withMeta = (params: Fields): Fields => ({
  ...params,
  _meta: {
    ...(isObject(params['_meta']) && params['_meta']),
    [`${META}/protocolVersion`]: STATELESS,
    [`${META}/clientCapabilities`]: {},
    [`${META}/clientInfo`]: CLIENT,
  },
});

/** As a header can hold it: else in base64, marked as such. */
const headerValue = (text: string): string =>
  /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith('=?base64?')
    ? text
    : `=?base64?${Buffer.from(text).toString('base64')}?=`;

/** Arguments that the schema of the tool wants in headers too, so that what is between can route by them. */
function headersOf(schema: unknown, args: unknown): Record<string, string> {
  const properties = isObject(schema) && isObject(schema['properties']) ? schema['properties'] : {};
  const given = isObject(args) ? args : {};
  return Object.assign(
    {},
    ...Object.entries(properties).map(([name, property]) => {
      const header = isObject(property) ? property['x-mcp-header'] : undefined;
      const value = given[name];
      if (typeof header !== 'string' || !/^[\w-]{1,100}$/.test(header)) return headersOf(property, value);
      const isPlain =
        typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number' || isExactNumber(value);
      return isPlain ? { [`Mcp-Param-${header}`]: headerValue(isExactNumber(value) ? value.text : String(value)) } : {};
    }),
  ) as Record<string, string>;
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
