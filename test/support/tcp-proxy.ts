import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';

/** Stands between a client and a server on loopback, and misbehaves when told. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>();
  private mode: 'forward' | 'refuse' | 'frozen' = 'forward';
  private unanswered: string | undefined;

  private constructor(
    private readonly server: Server,
    private readonly target: NetConnectOpts,
    readonly port: number,
    /** Called for each connection: what it returns sees everything that the server sends. */
    private readonly watch?: () => (chunk: Buffer) => void,
  ) {
    server.on('connection', (client) => this.accept(client));
  }

  /** In front of the server that a connection string names, which may be reached by a Unix socket (`?host=/folder`). */
  static async inFrontOf(
    connectionString: string,
    watch?: () => (chunk: Buffer) => void,
  ): Promise<{ proxy: TcpProxy; url: string }> {
    const url = new URL(connectionString);
    const folder = url.searchParams.get('host');
    const port = Number(url.port);
    const target = folder ? { path: `${folder}/.s.PGSQL.${port}` } : { host: url.hostname, port };
    const proxy = await TcpProxy.start(target, watch);
    url.searchParams.delete('host');
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    return { proxy, url: url.href };
  }

  static async start(target: NetConnectOpts, watch?: () => (chunk: Buffer) => void): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target, (server.address() as { port: number }).port, watch);
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

  /** Lets the next request with `text` in it reach the server, and cuts its connection when the answer comes. */
  loseAnswerTo(text: string): void {
    this.unanswered = text;
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
    client.on('data', (chunk) => {
      if (this.unanswered === undefined || !chunk.includes(this.unanswered)) return;
      this.unanswered = undefined;
      upstream
        .unpipe(client)
        .once('data', () => client.destroy())
        .resume();
    });
    if (this.watch) upstream.on('data', this.watch());
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
