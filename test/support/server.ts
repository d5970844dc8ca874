import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

/** The server as a user runs it: the built program in its own process, spoken to over HTTP. */
export const ROOT = resolve(import.meta.dirname, '../..');
export const ADMIN_TOKEN = 'mr_test_0123456789abcdefghijklmnopqrstuvwxyz';

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export interface ServerOptions {
  /** Default: a fresh folder, removed by `stop`. */
  readonly dataDir?: string;
  /** Instead of the embedded PostgreSQL. */
  readonly databaseUrl?: string;
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Wait for `/readyz` (default true). */
  readonly waitUntilReady?: boolean;
}

/** Receivers of tests listen on plain HTTP on loopback, which the server refuses unless told. */
const LOCAL_TARGETS = { MILLRACE_ALLOW_HTTP_TARGETS: 'true', MILLRACE_ALLOW_PRIVATE_TARGETS: '127.0.0.0/8' };

export class TestServer {
  private printed = '';
  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
    readonly dataDir: string,
    private readonly temporary: string | undefined,
  ) {
    child.stdout?.on('data', (chunk: Buffer) => (this.printed += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.printed += chunk.toString()));
  }

  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const port = options.port ?? (await freePort());
    const temporary = options.dataDir ? undefined : await mkdtemp(join(tmpdir(), 'millrace-test-'));
    const dataDir = options.dataDir ?? join(temporary!, 'data');
    const child = spawn(process.execPath, ['--enable-source-maps', 'dist/apps/server/src/main.js'], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        PORT: String(port),
        MILLRACE_DATA_DIR: dataDir,
        MILLRACE_ADMIN_TOKEN: ADMIN_TOKEN,
        LOG_LEVEL: 'info',
        ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
        ...LOCAL_TARGETS,
        ...options.env,
      },
    });
    const server = new TestServer(child, `http://127.0.0.1:${port}`, dataDir, temporary);
    if (options.waitUntilReady !== false) await server.ready();
    return server;
  }

  /** Everything the server has printed. */
  get output(): string {
    return this.printed;
  }

  get exited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async ready(): Promise<void> {
    await waitFor(
      'the server to be ready',
      async () => {
        if (this.exited) throw new Error(`the server ended before it was ready:\n${this.printed}`);
        const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
        return answer?.status === 200;
      },
      () => this.printed,
    );
  }

  /** A REST call with the admin token; throws with the problem's text unless 2xx. */
  async call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const text = await this.text(path, method, body);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** The same, with the body of the answer as it is. */
  async text(path: string, method = 'GET', body?: unknown): Promise<string> {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body === undefined ? {} : jsonHeaders) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
    return text;
  }

  get<T = Record<string, unknown>>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  post<T = Record<string, unknown>>(path: string, body: unknown): Promise<T> {
    return this.call<T>('POST', path, body);
  }

  /** All pages of a list. */
  async list<T>(path: string): Promise<T[]> {
    const all: T[] = [];
    let cursor: string | null | undefined;
    do {
      const join = path.includes('?') ? '&' : '?';
      const page: { data: T[]; nextCursor?: string | null } = await this.get(
        `${path}${join}limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
      );
      all.push(...page.data);
      cursor = page.nextCursor;
    } while (cursor);
    return all;
  }

  /** As `kill -9` does: no goodbye. */
  async kill(): Promise<void> {
    if (!this.exited) {
      this.child.kill('SIGKILL');
      await once(this.child, 'exit');
    }
  }

  /** Resolves with the exit code once the process has ended by itself. */
  async exit(): Promise<number | null> {
    if (!this.exited) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  /** A graceful end; removes the data folder if it was made for this server. */
  async stop(): Promise<number | null> {
    if (!this.exited) {
      this.child.kill('SIGTERM');
      await once(this.child, 'exit');
    }
    if (this.temporary) await rm(this.temporary, { recursive: true, force: true });
    return this.child.exitCode;
  }
}

const jsonHeaders = { 'content-type': 'application/json' };
