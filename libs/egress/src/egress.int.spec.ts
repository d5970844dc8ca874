import { readFileSync } from 'node:fs';
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

import { afterEach, describe, expect, it } from '@jest/globals';

import { HttpEgress, type HttpEgressOptions } from './egress.adapter.js';
import type { EgressOutcome, EgressRequest } from './egress.js';

const fixture = (name: string) => readFileSync(new URL(`../testing/${name}`, import.meta.url), 'utf8');
const tls = { key: fixture('receiver.test.key.pem'), cert: fixture('receiver.test.cert.pem') };
const LOCAL = { allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8'] };
const signal = new AbortController().signal;

describe('the way out', () => {
  const closers: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function listen(server: Server): Promise<number> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return (server.address() as AddressInfo).port;
  }
  const serve = async (listener: RequestListener) =>
    `http://127.0.0.1:${await listen(http.createServer(listener))}/hook`;
  const egress = (options: HttpEgressOptions = {}, policy = LOCAL) => {
    const made = new HttpEgress(policy, options);
    closers.push(() => made.close());
    return made;
  };
  const call = (url: string, more: Partial<EgressRequest> = {}, by = egress()) =>
    by.request({ method: 'POST', url, headers: {}, body: '{}', timeoutMs: 5_000, signal, ...more });
  const response = (outcome: EgressOutcome) => {
    if (outcome.kind !== 'response') throw new Error(`expected a response, got ${JSON.stringify(outcome)}`);
    return outcome;
  };
  const failure = (outcome: EgressOutcome) => {
    if (outcome.kind !== 'failed') throw new Error(`expected a failure, got status ${outcome.status}`);
    return outcome;
  };

  it('sends method, headers and body as they are and gives back the answer', async () => {
    const seen: { method?: string; headers: IncomingMessage['headers']; body: string }[] = [];
    const url = await serve((request, reply) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push({ method: request.method!, headers: request.headers, body });
        reply.writeHead(201, { 'X-Answer': 'yes' }).end('done');
      });
    });
    const body = '{"big":9007199254740993,"text":"é"}';

    const outcome = response(await call(url, { body, headers: { 'Content-Type': 'application/json', 'X-One': '1' } }));

    expect(outcome).toMatchObject({ status: 201, truncated: false, headers: { 'x-answer': 'yes' } });
    expect(outcome.body.toString()).toBe('done');
    expect(outcome.latencyMs).toBeGreaterThanOrEqual(0);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: 'POST', body });
    expect(seen[0]!.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'accept-encoding': 'identity',
      'user-agent': 'Millrace',
      'x-one': '1',
    });
  });

  it('sends a request without a body', async () => {
    const url = await serve((request, reply) => reply.end(request.method));
    const outcome = await egress().request({ method: 'GET', url, headers: {}, timeoutMs: 5_000, signal });
    expect(response(outcome).body.toString()).toBe('GET');
  });

  it.each(['GET', 'POST', 'PUT', 'DELETE'])(
    'a %s with a body has its length, and no type that nobody gave',
    async (method) => {
      const url = await serve((request, reply) => {
        const { 'content-type': type, 'content-length': length, 'transfer-encoding': encoding } = request.headers;
        request.resume().on('end', () => reply.end(JSON.stringify({ type, length, encoding })));
      });
      const outcome = response(await call(url, { method, body: 'four', headers: {} }));
      expect(JSON.parse(outcome.body.toString())).toEqual({ length: '4' });
    },
  );

  it.each([204, 304, 400, 404, 410, 429, 500, 503])('leaves the meaning of a %i to the caller', async (status) => {
    const url = await serve((_, reply) => reply.writeHead(status).end());
    expect(response(await call(url)).status).toBe(status);
  });

  it('uses a connection again', async () => {
    const ports = new Set<number>();
    const url = await serve((request, reply) => {
      ports.add(request.socket.remotePort!);
      reply.end('ok');
    });
    const by = egress();
    for (let i = 0; i < 5; i++) response(await call(url, {}, by));
    expect(ports.size).toBe(1);
  });

  it('ignores proxies of the environment', async () => {
    const before = process.env['HTTP_PROXY'];
    process.env['HTTP_PROXY'] = process.env['http_proxy'] = 'http://127.0.0.1:1';
    closers.push(() => {
      delete process.env['http_proxy'];
      if (before === undefined) delete process.env['HTTP_PROXY'];
      else process.env['HTTP_PROXY'] = before;
    });
    const url = await serve((_, reply) => reply.end('direct'));
    expect(response(await call(url)).body.toString()).toBe('direct');
  });

  describe('fails as timeout', () => {
    it('when the receiver never answers', async () => {
      const url = await serve(() => undefined);
      const outcome = failure(await call(url, { timeoutMs: 100 }));
      expect(outcome).toMatchObject({ failureClass: 'timeout', detail: expect.stringContaining('100 ms') });
    });

    it('when the connection is accepted and TLS never starts', async () => {
      const port = await listen(net.createServer());
      expect(failure(await call(`https://127.0.0.1:${port}/`, { timeoutMs: 100 })).failureClass).toBe('timeout');
    });

    it('when the answer comes byte by byte, each in time', async () => {
      const url = await serve((_, reply) => drip(reply, 20));
      const outcome = failure(await call(url, { timeoutMs: 200 }));
      expect(outcome.failureClass).toBe('timeout');
    });

    it('when the headers come byte by byte', async () => {
      const port = await listen(
        net.createServer((socket) => {
          const timer = setInterval(() => socket.write('X'), 20);
          socket.write('HTTP/1.1 200 OK\r\n');
          socket.on('close', () => clearInterval(timer));
        }),
      );
      expect(failure(await call(`http://127.0.0.1:${port}/`, { timeoutMs: 200 })).failureClass).toBe('timeout');
    });

    it('when the name is not resolved in time', async () => {
      const resolve = () => new Promise<never>(() => undefined);
      const outcome = failure(await call('http://slow.test/', { timeoutMs: 50 }, egress({ resolve })));
      expect(outcome.failureClass).toBe('timeout');
    });
  });

  describe('fails as connect', () => {
    it('when the receiver switches protocols instead of answering', async () => {
      const port = await listen(
        net.createServer((socket) => {
          socket.once('data', () =>
            socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
          );
        }),
      );
      const outcome = failure(await call(`http://127.0.0.1:${port}/`));
      expect(outcome.failureClass).toBe('connect');
    });

    it('when nobody listens', async () => {
      const server = http.createServer();
      const port = await listen(server);
      await closers.pop()!();
      expect(failure(await call(`http://127.0.0.1:${port}/`))).toMatchObject({
        failureClass: 'connect',
        detail: expect.stringContaining('ECONNREFUSED'),
      });
    });

    it('when the receiver resets', async () => {
      const url = await serve((request) => request.socket.resetAndDestroy());
      expect(failure(await call(url)).failureClass).toBe('connect');
    });

    it('when the answer is cut off', async () => {
      const url = await serve((request, reply) => {
        reply.writeHead(200, { 'Content-Length': '1000' });
        reply.write('only this', () => request.socket.destroy());
      });
      expect(failure(await call(url)).failureClass).toBe('connect');
    });

    it('when the receiver does not speak HTTP', async () => {
      const port = await listen(net.createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')));
      expect(failure(await call(`http://127.0.0.1:${port}/`)).failureClass).toBe('connect');
    });

    it('when the answer has a status that HTTP does not have', async () => {
      const port = await listen(
        net.createServer((socket) => socket.end('HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n')),
      );
      expect(failure(await call(`http://127.0.0.1:${port}/`))).toMatchObject({
        failureClass: 'connect',
        detail: expect.stringMatching(/does not speak HTTP.*status 0/),
      });
    });

    it('when the answer has more headers than anybody needs', async () => {
      const url = await serve((_, reply) => reply.writeHead(200, { 'X-Big': 'x'.repeat(40_000) }).end());
      expect(failure(await call(url)).failureClass).toBe('connect');
    });
  });

  describe('fails as tls', () => {
    it('when the certificate is signed by itself', async () => {
      const port = await listen(https.createServer(tls, (_, reply) => reply.end('ok')));
      const outcome = failure(await call(`https://127.0.0.1:${port}/`));
      expect(outcome).toMatchObject({ failureClass: 'tls', detail: expect.stringContaining('SELF_SIGNED') });
    });

    it('when the certificate is for another name', async () => {
      const port = await listen(https.createServer(tls, (_, reply) => reply.end('ok')));
      const by = egress({ ca: tls.cert, resolve: async () => ['127.0.0.1'] });
      expect(failure(await call(`https://other.test:${port}/`, {}, by)).failureClass).toBe('tls');
      expect(failure(await call(`https://127.0.0.1:${port}/`, {}, by)).failureClass).toBe('tls');
    });

    it('when the receiver speaks plain HTTP', async () => {
      const url = await serve((_, reply) => reply.end('ok'));
      expect(failure(await call(url.replace('http:', 'https:'))).failureClass).toBe('tls');
    });

    it('even with NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment', async () => {
      const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
      closers.push(() => {
        if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
        else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
      });
      const port = await listen(https.createServer(tls, (_, reply) => reply.end('ok')));
      expect(failure(await call(`https://127.0.0.1:${port}/`)).failureClass).toBe('tls');
    });
  });

  it('checks the certificate against the name although it connects to the address', async () => {
    const names: unknown[] = [];
    const server = https.createServer(tls, (request, reply) => {
      names.push((request.socket as unknown as { servername: string }).servername, request.headers.host);
      reply.end('ok');
    });
    const port = await listen(server);
    const by = egress({ ca: tls.cert, resolve: async () => ['127.0.0.1'] });
    expect(response(await call(`https://receiver.test:${port}/`, {}, by)).status).toBe(200);
    expect(names).toEqual(['receiver.test', `receiver.test:${port}`]);
  });

  it.each([301, 302, 303, 307, 308])('does not follow a %i', async (status) => {
    let followed = false;
    const target = await serve((_, reply) => {
      followed = true;
      reply.end();
    });
    const url = await serve((_, reply) => reply.writeHead(status, { Location: target }).end('moved'));
    const outcome = failure(await call(url));
    expect(outcome).toMatchObject({ failureClass: 'redirect', status, headers: { location: target } });
    expect(followed).toBe(false);
  });

  describe('bounds the answer', () => {
    it('keeping the first bytes of a long one', async () => {
      const url = await serve((_, reply) => reply.end(Buffer.alloc(200_000, 'a')));
      const outcome = response(await call(url));
      expect(outcome.truncated).toBe(true);
      expect(outcome.body).toHaveLength(64 * 1024);
    });

    it('keeping all of one that is exactly as long', async () => {
      const url = await serve((_, reply) => reply.end('12345'));
      const outcome = response(await call(url, { keepBytes: 5 }));
      expect(outcome).toMatchObject({ truncated: false });
      expect(response(await call(url, { keepBytes: 4 }))).toMatchObject({ truncated: true });
    });

    it('cutting off one that announces too much', async () => {
      const url = await serve((_, reply) => {
        reply.writeHead(200, { 'Content-Length': String(1024 ** 3) });
        reply.write('a');
      });
      expect(failure(await call(url))).toMatchObject({ failureClass: 'body_too_large', status: 200 });
    });

    it('cutting off one without end', async () => {
      let sent = 0;
      const url = await serve((_, reply) => {
        const chunk = Buffer.alloc(64 * 1024);
        const more = () => {
          while (!reply.destroyed) {
            sent += chunk.length;
            if (!reply.write(chunk)) break;
          }
        };
        reply.on('drain', more);
        more();
      });
      expect(failure(await call(url)).failureClass).toBe('body_too_large');
      expect(sent).toBeLessThan(64 * 1024 * 1024);
    });

    it('leaving a compressed one compressed', async () => {
      const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
      const url = await serve((_, reply) => reply.writeHead(200, { 'Content-Encoding': 'gzip' }).end(bomb));
      const outcome = response(await call(url));
      expect(outcome.body.equals(bomb.subarray(0, 64 * 1024))).toBe(true);
    });
  });

  describe('keeps the status of an answer outside 2xx', () => {
    it.each([400, 410, 429, 500, 503])('%i, with the first bytes of a body without end', async (status) => {
      const url = await serve((_, reply) => {
        reply.writeHead(status, { 'Retry-After': '7' });
        const more = () => reply.destroyed || reply.write(Buffer.alloc(64 * 1024, 'a'), more);
        more();
      });
      const outcome = response(await call(url, { keepBytes: 1_000 }));
      expect(outcome).toMatchObject({ status, truncated: true, headers: { 'retry-after': '7' } });
      expect(outcome.body.toString()).toBe('a'.repeat(1_000));
    });

    it('with a body that is announced as 1 GB', async () => {
      const url = await serve((_, reply) => {
        reply.writeHead(503, { 'Content-Length': String(1024 ** 3) });
        reply.write(Buffer.alloc(2 * 1024 * 1024));
      });
      expect(response(await call(url))).toMatchObject({ status: 503, truncated: true });
    });

    it('with a body that is cut off', async () => {
      const url = await serve((request, reply) => {
        reply.writeHead(410, { 'Content-Length': '1000' });
        reply.write('only this', () => request.socket.resetAndDestroy());
      });
      expect(response(await call(url))).toMatchObject({ status: 410, truncated: true });
    });

    it('with a body that never ends', async () => {
      const url = await serve((_, reply) => {
        reply.writeHead(503);
        reply.write('wait');
      });
      const outcome = response(await call(url, { timeoutMs: 100 }));
      expect({ ...outcome, body: outcome.body.toString() }).toMatchObject({
        status: 503,
        body: 'wait',
        truncated: true,
      });
    });

    it('but not when the caller has called it back', async () => {
      const controller = new AbortController();
      const url = await serve((_, reply) => {
        reply.writeHead(503);
        reply.write('wait', () => controller.abort(new Error('shutting down')));
      });
      await expect(call(url, { signal: controller.signal })).rejects.toThrow('shutting down');
    });
  });

  describe('on a kept connection that the receiver has closed', () => {
    /** Answers the first request of each connection, and does `then` at the second. */
    async function closing(then: (socket: Socket) => void, first = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok') {
      const connections: string[][] = [];
      const port = await listen(
        net.createServer((socket) => {
          const requests: string[] = [];
          connections.push(requests);
          socket.on('data', (chunk) => {
            requests.push(chunk.toString());
            if (requests.length === 1) socket.write(first);
            else then(socket);
          });
        }),
      );
      return { url: `http://127.0.0.1:${port}/`, connections };
    }
    const reset = (socket: Socket) => socket.resetAndDestroy();

    it.each([
      ['GET', {}],
      ['HEAD', {}],
      ['OPTIONS', {}],
      ['POST', { 'Idempotency-Key': 'k' }],
      ['PUT', { 'idempotency-key': 'k' }],
      ['POST', { 'webhook-id': 'msg_1' }],
    ])('sends a %s with %j again at once, on a new connection', async (method, headers) => {
      for (const close of [reset, (socket: Socket) => socket.end()]) {
        const { url, connections } = await closing(close, 'HTTP/1.1 204 No Content\r\n\r\n');
        const by = egress();
        for (let sent = 0; sent < 4; sent++)
          expect(response(await call(url, { method, headers }, by)).status).toBe(204);
        // The first is kept and fails at its second request; those that replace it are not kept.
        expect(connections.map((requests) => requests.length)).toEqual([2, 1, 2, 1]);
      }
    });

    it('does not send what has no key again: the receiver may have acted', async () => {
      const { url, connections } = await closing(reset);
      const by = egress();
      response(await call(url, {}, by));
      expect(failure(await call(url, {}, by)).failureClass).toBe('connect');
      expect(connections).toHaveLength(1);
    });

    it('does not send again once a part of the answer has come', async () => {
      const { url, connections } = await closing((socket) =>
        socket.write('HTTP/1.1 2', () => socket.resetAndDestroy()),
      );
      const by = egress();
      response(await call(url, { method: 'GET' }, by));
      expect(failure(await call(url, { method: 'GET' }, by)).failureClass).toBe('connect');
      expect(connections).toHaveLength(1);
    });

    it('sends once more only', async () => {
      let connections = 0;
      const port = await listen(
        net.createServer((socket) => {
          let requests = 0;
          connections++;
          socket.on('data', () => {
            if (connections > 1 || ++requests > 1) socket.resetAndDestroy();
            else socket.write('HTTP/1.1 204 No Content\r\n\r\n');
          });
        }),
      );
      const by = egress();
      const url = `http://127.0.0.1:${port}/`;
      response(await call(url, { method: 'GET' }, by));
      expect(failure(await call(url, { method: 'GET' }, by)).failureClass).toBe('connect');
      expect(connections).toBe(2);
    });

    it('does not send again on a connection that was new', async () => {
      let connections = 0;
      const port = await listen(
        net.createServer((socket) => {
          connections++;
          socket.on('data', () => socket.resetAndDestroy());
        }),
      );
      expect(failure(await call(`http://127.0.0.1:${port}/`, { method: 'GET' })).failureClass).toBe('connect');
      expect(connections).toBe(1);
    });

    it('sends again over TLS, with the same checks', async () => {
      let requests = 0;
      const server = https.createServer(tls, (request, reply) => {
        if (++requests === 2) request.socket.destroy();
        else reply.end('ok');
      });
      const port = await listen(server);
      const by = egress({ ca: tls.cert, resolve: async () => ['127.0.0.1'] });
      const url = `https://receiver.test:${port}/`;
      for (let sent = 0; sent < 2; sent++) expect(response(await call(url, { method: 'GET' }, by)).status).toBe(200);
      expect(requests).toBe(3);
    });
  });

  it('waits as long as it may, also beyond what a timer of Node holds', async () => {
    const url = await serve((_, reply) => setImmediate(() => reply.end('ok')));
    for (const timeoutMs of [2 ** 31, 366 * 86_400_000])
      expect(response(await call(url, { timeoutMs })).status).toBe(200);
  });

  it('gives back cookies one by one, beside the other headers', async () => {
    const cookies = ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2'];
    const url = await serve((_, reply) => reply.writeHead(200, { 'Set-Cookie': cookies, Vary: ['a', 'b'] }).end());
    const outcome = response(await call(url));
    expect(outcome.setCookie).toEqual(cookies);
    expect(outcome.headers).toMatchObject({ vary: 'a, b' });
    expect(outcome.headers).not.toHaveProperty('set-cookie');
  });

  describe('refuses addresses', () => {
    const nobody = { allowHttpTargets: true, allowPrivateTargets: [] };

    it('given literally, without a connection', async () => {
      let connected = false;
      const url = await serve((_, reply) => {
        connected = true;
        reply.end();
      });
      for (const form of [url, url.replace('127.0.0.1', '2130706433'), url.replace('127.0.0.1', '[::ffff:127.0.0.1]')])
        expect(failure(await call(form, {}, egress({}, nobody))).failureClass).toBe('refused_address');
      expect(connected).toBe(false);
    });

    it('behind a name, naming the address', async () => {
      const by = egress({ resolve: async () => ['10.0.0.5'] }, nobody);
      expect(failure(await call('http://inside.test/', {}, by))).toMatchObject({
        failureClass: 'refused_address',
        detail: expect.stringMatching(/inside\.test resolves to 10\.0\.0\.5 .*MILLRACE_ALLOW_PRIVATE_TARGETS/),
      });
    });

    it('if only one of several is private', async () => {
      const by = egress({ resolve: async () => ['8.8.8.8', '169.254.169.254'] }, nobody);
      expect(failure(await call('http://both.test/', {}, by)).failureClass).toBe('refused_address');
    });

    it('of a name that changes its mind after the check', async () => {
      let asked = 0;
      const url = await serve((_, reply) => reply.end('reached'));
      const answers = [['127.0.0.1'], ['10.0.0.1']];
      const by = egress({ resolve: async () => answers[asked++]! });
      const rebinding = url.replace('127.0.0.1', 'rebinding.test');
      // The first connection can only have gone to the address that was checked: no resolver knows the name.
      expect(response(await call(rebinding, {}, by)).body.toString()).toBe('reached');
      expect(asked).toBe(1);
      // The kept connection of the first call must not carry the second.
      expect(failure(await call(rebinding, {}, by)).failureClass).toBe('refused_address');
      expect(asked).toBe(2);
    });

    it('and does not lend the connection of one address to another', async () => {
      const ports: number[] = [];
      const url = await serve((request, reply) => {
        ports.push(request.socket.remotePort!);
        reply.end();
      });
      const answers = [['127.0.0.1'], ['127.0.0.1', '127.0.0.2'], ['127.0.0.2', '127.0.0.1'], ['127.0.0.1']];
      const by = egress({ resolve: async () => answers.shift()! });
      for (let i = 0; i < 4; i++) response(await call(url.replace('127.0.0.1', 'many.test'), {}, by));
      expect(new Set(ports).size).toBe(2);
      expect(ports[1]).toBe(ports[2]);
      expect(ports[0]).toBe(ports[3]);
    });

    it('of localhost unless one of the two is allowed, and then uses that one', async () => {
      const url = (await serve((_, reply) => reply.end('ok'))).replace('127.0.0.1', 'localhost');
      const resolve = async () => ['::1', '127.0.0.1'];
      expect(response(await call(url, {}, egress({ resolve }))).status).toBe(200);
      expect(failure(await call(url, {}, egress({ resolve }, nobody))).failureClass).toBe('refused_address');
    });

    it('with other schemes, credentials or plain http', async () => {
      const by = egress({}, { allowHttpTargets: false, allowPrivateTargets: ['0.0.0.0/0'] });
      for (const url of ['http://127.0.0.1/', 'ftp://127.0.0.1/', 'https://a:b@127.0.0.1/', 'not a url'])
        expect(failure(await call(url, {}, by)).failureClass).toBe('refused_address');
    });
  });

  describe('resolves names', () => {
    it('failing as dns when there is none', async () => {
      const resolve = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
      expect(failure(await call('http://nowhere.test/', {}, egress({ resolve }))).failureClass).toBe('dns');
      expect(failure(await call('http://empty.test/', {}, egress({ resolve: async () => [] }))).failureClass).toBe(
        'dns',
      );
    });

    it('going on to the next address when one does not answer', async () => {
      const url = await serve((_, reply) => reply.end('ok'));
      const by = egress({ resolve: async () => ['127.0.0.9', '127.0.0.1'] });
      expect(response(await call(url.replace('127.0.0.1', 'two.test'), {}, by)).status).toBe(200);
    });
  });

  describe('keeps headers apart', () => {
    it.each([
      { 'X-A': 'a\r\nX-Evil: 1' },
      { 'X-A\r\nX-Evil': '1' },
      { Host: 'internal' },
      { 'Transfer-Encoding': 'chunked' },
      { 'Content-Length': '0' },
    ])('rejecting %j before anything is sent', async (headers) => {
      let connected = false;
      const url = await serve((_, reply) => {
        connected = true;
        reply.end();
      });
      await expect(call(url, { headers: headers })).rejects.toMatchObject({
        code: 'egress.header_refused',
      });
      expect(connected).toBe(false);
    });
  });

  describe('when called back', () => {
    it('rejects with the reason and drops the connection', async () => {
      const controller = new AbortController();
      const dropped = new Promise<void>((resolve) => {
        void serve((request) => {
          request.socket.on('close', () => resolve());
          controller.abort(new Error('shutting down'));
        }).then((url) => pending(url));
      });
      let outcome: Promise<unknown> | undefined;
      const pending = (url: string) => (outcome = call(url, { signal: controller.signal }).catch((error) => error));
      await dropped;
      expect(await outcome).toEqual(new Error('shutting down'));
    });

    it('does not even start when called back before', async () => {
      const reason = new Error('too late');
      await expect(call('http://127.0.0.1:1/', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    });
  });

  it('is not held up for one host by another that hangs', async () => {
    const hanging = await serve(() => undefined);
    const quick = await serve((_, reply) => reply.end('ok'));
    const by = egress();
    const controller = new AbortController();
    const held = Array.from({ length: 50 }, () =>
      call(hanging, { timeoutMs: 10_000, signal: controller.signal }, by).catch(() => 'aborted'),
    );
    expect(response(await call(quick, { timeoutMs: 2_000 }, by)).status).toBe(200);
    controller.abort();
    expect(new Set(await Promise.all(held))).toEqual(new Set(['aborted']));
  });
});

function drip(reply: ServerResponse, everyMs: number): void {
  reply.writeHead(200);
  const timer = setInterval(() => reply.write('.'), everyMs);
  reply.on('close', () => clearInterval(timer));
}
