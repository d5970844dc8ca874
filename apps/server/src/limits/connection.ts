import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { Turns } from './turns.js';

/** Answers that one connection may have under way. No further request is read while so many wait to be read. */
export const MAX_UNDER_WAY = 16;
/** Reached only by bytes that are parsed as requests and do not look like them. */
const MAX_SLIPPED = 4 * MAX_UNDER_WAY;
/** A connection on which nothing moves for so long is closed if it is idle, or if its answers are not read. */
const STALLED_MS = 65_000;

const REQUEST_LINE = Buffer.from('HTTP/');
/** Of all connections of the process: they share one processor. */
const turns = new Turns();

/**
 * Bounds what a client can make the server do ahead. Node parses everything that has arrived at once: 64 KiB of short
 * requests are a thousand answers. So the parser gets the bytes in pieces. The first request of what arrives runs at once.
 * Pipelined requests behind it wait for a turn, so that they do not delay the requests of other connections, and for room
 * among the answers under way. Meanwhile nothing more is read.
 */
export class Connection {
  private readonly underWay = new Set<ServerResponse>();
  private begun = 0;
  /** What waits for a turn or for room. */
  private rest: Buffer | undefined;
  /** Node paused the socket, to which the rest was put back. */
  private paused = false;
  private hasEnded = false;

  private constructor(
    private readonly socket: Socket,
    private readonly parse: (bytes: Buffer) => void,
    private readonly end: () => void,
  ) {}

  /** For each connection of a server, before its first byte is read. */
  static of(socket: Socket): Connection {
    const [parse] = socket.listeners('data') as [(bytes: Buffer) => void];
    const end = socket.listeners('end').at(-1) as () => void;
    const connection = new Connection(socket, parse, end);
    // Node accepts one connection in each turn of the event loop, and more may be in the backlog.
    turns.hurry();
    socket.removeListener('data', parse);
    socket.removeListener('end', end);
    socket.on('data', (bytes: Buffer) => connection.feed(bytes));
    socket.on('end', () => connection.finish());
    // Node notifies only the answer at the head of the queue: those behind it would wait without end.
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
    this.begun += 1;
    this.underWay.add(response);
    if (this.underWay.size > MAX_SLIPPED) this.socket.destroy();
    response.once('close', () => this.ended(response));
  }

  private ended(response: ServerResponse): void {
    this.underWay.delete(response);
    if (this.rest !== undefined && this.underWay.size <= MAX_UNDER_WAY / 2) turns.wait(this.takeTurn);
  }

  private feed(bytes: Buffer): void {
    if (this.rest !== undefined) {
      this.socket.pause();
      this.socket.unshift(bytes);
    } else if (this.paused || this.underWay.size >= MAX_UNDER_WAY) this.hold(bytes);
    else this.run(bytes);
  }

  private hold(rest: Buffer): void {
    this.rest = rest;
    this.paused = false;
    if (this.underWay.size < MAX_UNDER_WAY) turns.wait(this.takeTurn);
  }

  private readonly takeTurn = (): void => {
    const { rest, socket } = this;
    if (rest === undefined) return;
    this.rest = undefined;
    // What arrived meanwhile follows after this piece, unless Node pauses the socket again.
    if (socket.isPaused()) socket.resume();
    this.run(rest);
  };

  /** Up to two requests. */
  private run(bytes: Buffer): void {
    const { socket, begun } = this;
    let rest = bytes;
    // Text in a body may look like requests: the pieces grow until one begins.
    for (let size = 2; rest.length > 0 && this.begun === begun; size *= 2) {
      if (socket.destroyed || socket.writableEnded) return;
      const end = endOf(Math.min(size, MAX_UNDER_WAY - this.underWay.size), rest);
      this.parse.call(socket, rest.subarray(0, end));
      rest = rest.subarray(end);
      if (socket.isPaused() && !this.hasEnded) break;
    }
    if (rest.length === 0) {
      if (this.hasEnded) this.end.call(socket);
    } else if (socket.isPaused() && !this.hasEnded) {
      // A body that nobody reads yet, or answers that fill the socket: Node resumes it.
      this.paused = true;
      socket.unshift(rest);
    } else this.hold(rest);
  }

  /** The client sends no more. What waits is still answered. */
  private finish(): void {
    this.hasEnded = true;
    if (this.rest === undefined) this.end.call(this.socket);
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
