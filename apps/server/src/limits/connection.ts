import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Answers that one connection may have under way. No further request is read while so many wait to be read. */
export const MAX_UNDER_WAY = 16;
/** Reached only by bytes that are parsed as requests and do not look like them. */
const MAX_SLIPPED = 4 * MAX_UNDER_WAY;
/** A connection on which nothing moves for so long is closed if it is idle, or if its answers are not read. */
const STALLED_MS = 65_000;

const REQUEST_LINE = Buffer.from('HTTP/');

/**
 * Bounds what a client can make the server do ahead. Node parses everything that has arrived at once: 64 KiB of short
 * requests are a thousand answers. So the parser is given the bytes in pieces, each with no more requests than there is
 * room for, and the rest stays in the socket, which stops reading.
 */
export class Connection {
  private readonly underWay = new Set<ServerResponse>();
  private holding = false;

  private constructor(
    private readonly socket: Socket,
    private readonly parse: (bytes: Buffer) => void,
  ) {}

  /** For each connection of a server, before its first byte is read. */
  static of(socket: Socket): Connection {
    const [parse] = socket.listeners('data') as [(bytes: Buffer) => void];
    const connection = new Connection(socket, parse);
    socket.removeListener('data', parse);
    socket.on('data', (bytes: Buffer) => connection.feed(bytes));
    // Node tells it to the answer at the head of the queue alone: those behind would wait for ever.
    socket.once('close', () =>
      process.nextTick(() => {
        for (const response of connection.underWay) response.emit('close');
      }),
    );
    return connection;
  }

  get isIdle(): boolean {
    return this.underWay.size === 0;
  }

  began(response: ServerResponse): void {
    this.underWay.add(response);
    if (this.underWay.size > MAX_SLIPPED) this.socket.destroy();
    response.once('close', () => this.ended(response));
  }

  private ended(response: ServerResponse): void {
    this.underWay.delete(response);
    if (!this.holding || this.underWay.size > MAX_UNDER_WAY / 2) return;
    this.holding = false;
    this.socket.resume();
  }

  private feed(bytes: Buffer): void {
    const { socket } = this;
    for (let rest = bytes; rest.length > 0 && !socket.destroyed && !socket.writableEnded;) {
      const room = MAX_UNDER_WAY - this.underWay.size;
      if (room <= 0) {
        this.holding = true;
        socket.pause();
        socket.unshift(rest);
        return;
      }
      const end = endOf(room, rest);
      this.parse.call(socket, rest.subarray(0, end));
      rest = rest.subarray(end);
      // A body that nobody reads yet, or answers that fill the socket: whoever paused it resumes it.
      if (rest.length > 0 && socket.isPaused()) {
        socket.unshift(rest);
        return;
      }
    }
  }
}

/** Where the next piece ends: within the first line of the request that would be one too many. */
function endOf(requests: number, bytes: Buffer): number {
  let end = 0;
  for (let seen = 0; seen < requests; seen++) {
    const at = bytes.indexOf(REQUEST_LINE, end);
    if (at < 0) return bytes.length;
    end = at + REQUEST_LINE.length;
  }
  return end;
}

/** Closes connections on which nothing moves. One that waits for the server is left alone. */
export function closeStalled(server: Server, connectionOf: (socket: Socket) => Connection | undefined): void {
  server.setTimeout(STALLED_MS, (socket) => {
    if (connectionOf(socket)?.isIdle !== false || socket.writableLength > 0) socket.destroy();
  });
}
