/**
 * One HTTP/1.1 connection over a raw socket, one request at a time. It needs a fraction of the CPU time of an HTTP client, so
 * that the load generator does not compete with the server.
 */
import { connect } from 'node:net';

export class HttpConnection {
  #socket;
  #pending = Buffer.alloc(0);
  #waiting;

  static open(port) {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new HttpConnection(socket)));
    });
  }

  constructor(socket) {
    this.#socket = socket;
    const fail = (error) => {
      this.#waiting?.reject(error ?? new Error('the connection was closed'));
      this.#waiting = undefined;
    };
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  /** @param request the whole request. Resolves with status and body. */
  send(request) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #read(chunk) {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const headEnd = this.#pending.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#pending.latin1Slice(0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#pending.length < headEnd + 4 + length) return;
    const body = this.#pending.latin1Slice(headEnd + 4, headEnd + 4 + length);
    this.#pending = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), body });
  }
}

/** Milliseconds on a clock that all processes of this machine share. */
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();
export const sharedClock = () => offset + performance.now();

/** CPU seconds of this process so far. */
export const processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
