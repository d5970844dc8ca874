import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server on loopback, and misbehaves when told. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>();
  private mode: 'forward' | 'refuse' | 'frozen' = 'forward';

  private constructor(
    private readonly server: Server,
    private readonly target: { readonly host: string; readonly port: number },
    readonly port: number,
  ) {
    server.on('connection', (client) => this.accept(client));
  }

  static async start(target: { host: string; port: number }): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target, (server.address() as { port: number }).port);
  }

  /** Cuts every connection and refuses new ones: the server is gone. */
  refuse(): void {
    this.mode = 'refuse';
    for (const socket of this.sockets) socket.destroy();
  }

  /** Nothing passes any more, and nothing is closed: a half-open connection. */
  freeze(): void {
    this.mode = 'frozen';
    for (const socket of this.sockets) socket.pause();
  }

  restore(): void {
    // What was frozen in mid-message is cut, as a network that comes back finds it.
    for (const socket of this.sockets) socket.destroy();
    this.mode = 'forward';
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private accept(client: Socket): void {
    if (this.mode === 'refuse') return void client.destroy();
    this.track(client);
    if (this.mode === 'frozen') return void client.pause();
    const upstream = connect(this.target);
    this.track(upstream);
    client.pipe(upstream);
    upstream.pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    // A cut connection is what this proxy is for.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.sockets.delete(socket));
  }
}
