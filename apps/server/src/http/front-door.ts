import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { AddressList, networkOf } from '#libs/intake/src/integration/addresses.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { closeStalled, Connection } from '../limits/connection.js';
import { Shares } from '../limits/per-network.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';
import { requestIdOf } from './request-id.js';

/** Against clients that send slowly or never end. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  // Refused below, with a body like every other refusal.
  requireHostHeader: false,
} as const;
/** On every answer; a page that needs more says so. */
const SAFE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;
const MAX_CONNECTIONS = 10_000;
/** Enough for every client behind one address, and no reason for anybody else to be locked out. */
const MAX_OF_NETWORK = 1_000;

/**
 * The listening socket. It is opened before anything else, so that a taken port is known before the data folder is
 * touched, and answers for the server until the application is there: alive, but not ready.
 *
 * States: open (answers that the server is starting) → serving (hands requests to the application) → closing.
 */
export class FrontDoor {
  private listener: RequestListener = whileStarting;
  private readonly closing = new AbortController();
  /** Aborts when it begins to close: answers without an end listen to it. */
  readonly shutdown = this.closing.signal;
  readonly server: Server;
  private readonly connections = new WeakMap<Socket, Connection>();

  private constructor(private readonly proxies: AddressList) {
    this.server = createServer(LIMITS, (request, response) => {
      this.connections.get(request.socket)?.began(response);
      for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
      // A connection that is kept alive would hold up the end.
      if (this.shutdown.aborted) response.setHeader('connection', 'close');
      const problem = hostProblem(request);
      if (problem === undefined) this.listener(request, response);
      else refuseRequest(request, response, 400, problem);
    });
    this.server.on('checkExpectation', (request, response) =>
      refuseRequest(request, response, 417, 'The header Expect must be 100-continue, or left out.'),
    );
    this.server.maxConnections = MAX_CONNECTIONS;
    const shares = new Shares(MAX_CONNECTIONS, MAX_OF_NETWORK);
    this.server.on('connection', (socket) => this.accept(socket, shares));
    // Who has nothing to ask makes room.
    this.server.on('drop', () => this.server.closeIdleConnections());
    this.server.on('clientError', refuse);
    closeStalled(this.server, (socket) => this.connections.get(socket));
  }

  private accept(socket: Socket, shares: Shares): void {
    const network = networkOf(socket.remoteAddress);
    // A proxy brings the connections of many.
    if (!this.proxies.has(socket.remoteAddress ?? '')) {
      if (!shares.take(network, 1)) {
        socket.destroy();
        return;
      }
      socket.once('close', () => shares.give(network, 1));
    }
    this.connections.set(socket, Connection.of(socket));
  }

  /** @throws Rejected `listen.port_taken` or `listen.impossible`, naming the variable to change. */
  static async open(host: string, port: number, trustProxy: readonly string[] = []): Promise<FrontDoor> {
    const door = new FrontDoor(new AddressList(trustProxy));
    await new Promise<void>((opened, failed) => {
      door.server.once('error', (error: NodeJS.ErrnoException) => failed(explained(error, host, port)));
      door.server.listen(port, host, opened);
    });
    return door;
  }

  serve(listener: RequestListener): void {
    this.listener = listener;
  }

  /** Accepts nothing new, and resolves when every request under way is answered, or cut off after `patience` ms. */
  async close(patience: number): Promise<void> {
    this.closing.abort();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // A connection whose request ends from now on is idle, and would be kept for the next one.
    const sweep = setInterval(() => this.server.closeIdleConnections(), 50);
    const timer = setTimeout(() => this.server.closeAllConnections(), patience);
    await closed;
    clearTimeout(timer);
    clearInterval(sweep);
  }
}

function explained(error: NodeJS.ErrnoException, host: string, port: number): Rejected {
  if (error.code === 'EADDRINUSE')
    return new Rejected(
      'conflict',
      'listen.port_taken',
      `Port ${port} on ${host} is in use. Stop the other program, or choose another port with PORT, such as: PORT=${port === 65_535 ? 3001 : port + 1} npm start`,
      { cause: error },
    );
  const variable = error.code === 'EACCES' ? `PORT=${port} (ports below 1024 need privileges)` : `HOST=${host}`;
  return new Rejected('invalid', 'listen.impossible', `The server cannot listen with ${variable}: ${error.message}.`, {
    cause: error,
  });
}

function whileStarting(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0];
  if (path === '/healthz') return send(request, response, 200, 'application/json', { status: 'alive' });
  if (path === '/readyz')
    return send(
      request,
      response,
      503,
      'application/json',
      { status: 'starting', reasons: ['the server is starting'], subscribers: [] },
      { 'retry-after': '1' },
    );
  const body = {
    type: 'about:blank',
    title: 'Unavailable',
    status: 503,
    code: 'server.starting',
    detail: 'The server is starting. Try again in a moment.',
  };
  send(request, response, 503, PROBLEM_TYPE, body, { 'retry-after': '1' });
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  body: object,
  headers = {},
): void {
  const requestId = requestIdOf(request);
  const text = stringifyJson(type === PROBLEM_TYPE ? { ...body, requestId } : body);
  // What is not read of the request would keep the connection from being used again.
  const all = { ...SAFE_HEADERS, 'x-request-id': requestId, 'content-type': type, connection: 'close', ...headers };
  response.writeHead(status, all).end(text);
}

/** A proxy in front may have gone by another host than this server would. */
function hostProblem({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  if (hosts > 1) return 'The header Host must be sent once.';
  return hosts === 0 && httpVersion === '1.1' ? 'The header Host is required.' : undefined;
}

function refuseRequest(request: IncomingMessage, response: ServerResponse, status: number, detail: string): void {
  const { body } = problemOf(Object.assign(new Error(detail), { statusCode: status }));
  send(request, response, status, PROBLEM_TYPE, body);
}

/** What is no HTTP request at all gets the same kind of answer as one that is refused. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ''] ?? 400;
  const { body } = problemOf(Object.assign(new Error(DETAILS[status]), { statusCode: status }));
  // Its own name, if it has one, was not read.
  const requestId = requestIdOf({ headers: {} });
  const text = stringifyJson({ ...body, requestId });
  socket.end(
    `HTTP/1.1 ${status} ${body.title}\r\nConnection: close\r\n${SAFE_LINES}X-Request-Id: ${requestId}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

const SAFE_LINES = Object.entries(SAFE_HEADERS)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');

const DETAILS: Readonly<Record<number, string>> = {
  400: 'This is not an HTTP request.',
  408: 'The request was not complete within 30 seconds.',
  431: 'The headers must not be longer than 16 KiB.',
};
