import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/**
 * The network before the double's gRPC server: one TCP port that can be pulled, and a wire that can fall silent. A
 * server behind it needs no faults of its own: what it did while the wire was silent is done, and nobody heard of it.
 */
export class FaultyLink {
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private readonly forgotten: (readonly [Socket, Socket])[] = [];
  private listener: Server | undefined;
  private silent = false;
  private port = 0;

  constructor(private readonly target: number) {}

  /** Listens on `port` (0: a free one), on loopback. The port stays the same over all restarts. */
  async listen(port: number): Promise<number> {
    const listener = createServer((outside) => this.accept(outside));
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port || this.port, '127.0.0.1', resolve);
    });
    this.listener = listener;
    this.port = (listener.address() as AddressInfo).port;
    return this.port;
  }

  /** Drops every connection at once and refuses new ones. */
  async cut(): Promise<void> {
    this.drop();
    const listener = this.listener;
    this.listener = undefined;
    if (listener) await new Promise((resolve) => listener.close(resolve));
  }

  /** Drops every connection; new ones are welcome. */
  drop(): void {
    for (const pair of [...this.pairs, ...this.forgotten]) for (const socket of pair) socket.resetAndDestroy();
    this.pairs.clear();
    this.forgotten.length = 0;
  }

  /** Accepts and stays silent: connections stand, requests arrive at the server or not, answers never come back. */
  freeze(towards: 'both' | 'answers' = 'both'): void {
    this.silent = true;
    for (const [outside, inside] of this.pairs) {
      if (towards === 'both') outside.pause();
      inside.pause();
    }
  }

  /** As half-open connections do: those that stand fall silent for good, new ones work. */
  halfOpen(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.pause();
    this.forgotten.push(...this.pairs);
    this.pairs.clear();
  }

  thaw(): void {
    this.silent = false;
    for (const pair of this.pairs) for (const socket of pair) socket.resume();
  }

  private accept(outside: Socket): void {
    const inside = connect(this.target, '127.0.0.1');
    const pair = [outside, inside] as const;
    this.pairs.add(pair);
    for (const [from, to] of [pair, [inside, outside] as const]) {
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('data', (chunk: Buffer) => {
        if (to.write(chunk)) return;
        from.pause();
        to.once('drain', () => {
          if (!this.silent) from.resume();
        });
      });
      from.on('close', () => {
        this.pairs.delete(pair);
        to.destroy();
      });
    }
    if (this.silent) for (const socket of pair) socket.pause();
  }
}
