import { connect, type Socket } from 'node:net';

/** What came back: a status, or nothing at all before the connection was closed, or nothing for too long. */
export type Exchange =
  | { readonly kind: 'answered'; readonly status: number; readonly body: string; readonly ms: number }
  | { readonly kind: 'closed'; readonly ms: number }
  | { readonly kind: 'silent'; readonly ms: number };

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * One connection after the other: bytes go out exactly as they are, which no HTTP client does. A connection is kept for the
 * next request as long as both sides leave it whole.
 */
export class RawClient {
  private socket: Socket | undefined;

  constructor(
    private readonly host: string,
    private readonly port: number,
    private readonly patienceMs: number,
  ) {}

  /** `breaks`: the bytes are no whole request; no more will follow, which the server is told, and then it is a new connection. */
  async send(bytes: Buffer, breaks: boolean): Promise<Exchange> {
    const began = performance.now();
    const reused = this.socket !== undefined;
    const socket = (this.socket ??= this.open());
    const outcome = await this.exchange(socket, bytes, breaks, began);
    const isUsable = outcome.kind === 'answered' && !breaks && !outcome.closes && !socket.destroyed;
    if (!isUsable) this.close();
    // The server may close an idle connection at any time: then nothing of this request was looked at.
    if (outcome.kind === 'closed' && reused && !breaks) return this.send(bytes, breaks);
    return outcome;
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }

  private open(): Socket {
    const socket = connect({ host: this.host, port: this.port, allowHalfOpen: true, noDelay: true });
    // Told by its close.
    socket.on('error', () => undefined);
    return socket;
  }

  private exchange(
    socket: Socket,
    bytes: Buffer,
    breaks: boolean,
    began: number,
  ): Promise<Exchange & { readonly closes?: boolean }> {
    return new Promise((resolve) => {
      let received: Buffer = Buffer.alloc(0);
      const done = (outcome: Exchange & { readonly closes?: boolean }): void => {
        clearTimeout(timer);
        socket.off('data', onData).off('end', onEnd).off('close', onEnd);
        resolve(outcome);
      };
      const onData = (chunk: Buffer): void => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
        const answer = answerIn(received);
        if (answer) done({ kind: 'answered', ...answer, ms: performance.now() - began });
      };
      const onEnd = (): void => {
        const answer = answerIn(received, true);
        const ms = performance.now() - began;
        done(answer ? { kind: 'answered', ...answer, closes: true, ms } : { kind: 'closed', ms });
      };
      const timer = setTimeout(() => done({ kind: 'silent', ms: performance.now() - began }), this.patienceMs);
      socket.on('data', onData).on('end', onEnd).on('close', onEnd);
      if (breaks) socket.end(bytes);
      else socket.write(bytes);
    });
  }
}

/** The first whole answer; one to `Expect: 100-continue` is passed over. */
function answerIn(
  received: Buffer,
  ended = false,
): { readonly status: number; readonly body: string; readonly closes: boolean } | undefined {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = received.toString('latin1', 0, end).toLowerCase();
  const status = Number(/^http\/1\.1 (\d{3})/.exec(head)?.[1]);
  const rest = received.subarray(end + HEAD_END.length);
  if (status === 100) return answerIn(rest, ended);
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  const isEmpty = status === 204 || status === 304;
  const isWhole = length === undefined ? isEmpty || rest.includes('0\r\n\r\n') : rest.length >= Number(length);
  // An answer to HEAD announces a body and has none: it is whole when the connection ends.
  if (!isWhole && !ended) return undefined;
  const body = rest.toString('utf8', 0, length === undefined ? rest.length : Number(length));
  return { status, body, closes: /\r\nconnection: *close/.test(head) };
}
