import { once } from 'node:events';
import { connect } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import { Rejected } from '#libs/kernel/src/errors.js';

import { freePort } from '../../../../test/support/server.js';
import { FrontDoor } from './front-door.js';

describe('the front door', () => {
  const opened: FrontDoor[] = [];
  const open = async (port?: number) => {
    const door = await FrontDoor.open('127.0.0.1', port ?? (await freePort()));
    opened.push(door);
    return { door, port: (door.server.address() as { port: number }).port };
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((door) => door.close(0)));
  });

  /** Writes bytes to the port and gives back everything that comes until the connection ends. */
  async function exchange(port: number, text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    socket.on('error', () => undefined);
    socket.write(text);
    await once(socket, 'close');
    return received;
  }

  it('answers while the server starts: alive, not ready, and come back for the rest', async () => {
    const { port } = await open();
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: answer.status, wait: answer.headers.get('retry-after'), body: (await answer.json()) as object };
    };
    expect(await ask('/healthz')).toEqual({ status: 200, wait: null, body: { status: 'alive' } });
    expect(await ask('/readyz')).toMatchObject({
      status: 503,
      wait: '1',
      body: { reasons: ['the server is starting'] },
    });
    expect(await ask('/api/v1/rules')).toMatchObject({ status: 503, wait: '1', body: { code: 'server.starting' } });
  });

  it('hands requests on once somebody serves', async () => {
    const { door, port } = await open();
    door.serve((_, response) => response.end('served'));
    expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text()).toBe('served');
  });

  it.each([
    ['no Host', '', 'The header Host is required.'],
    ['two Hosts', 'Host: a\r\nhost: b\r\n', 'The header Host must be sent once.'],
  ])('refuses a request with %s', async (_, headers, detail) => {
    const { door, port } = await open();
    door.serve((__, response) => response.end('served'));
    const answer = await exchange(port, `GET / HTTP/1.1\r\n${headers}\r\n`);
    expect(answer).toContain('HTTP/1.1 400');
    expect(answer).toContain('"code":"request.malformed"');
    expect(answer).toContain(detail);
    expect(await exchange(port, `GET / HTTP/1.0\r\n\r\n`)).toContain('served');
  });

  it('says what it expects of Expect', async () => {
    const { port } = await open();
    const answer = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n\r\n');
    expect(answer).toContain('HTTP/1.1 417 Expectation Failed');
    expect(answer).toContain('"code":"request.expectation_failed"');
  });

  it.each([
    ['while it starts', 'GET /api/v1/rules HTTP/1.1\r\nHost: a\r\nX-Request-Id: asked-1\r\n\r\n', 'asked-1'],
    ['of no Host', 'GET / HTTP/1.1\r\nX-Request-Id: asked-2\r\n\r\n', 'asked-2'],
    ['of a strange Expect', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n\r\n', '[-0-9a-f]{36}'],
    ['of what is no HTTP', 'hello\r\n\r\n', '[-0-9a-f]{36}'],
  ])('names the request in every refusal, and says what a browser may do with it: %s', async (_, text, id) => {
    const { port } = await open();
    const [head, body] = (await exchange(port, text)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`x-request-id: ${id}(\r\n|$)`, 'i'));
    expect(head).toContain('x-content-type-options: nosniff');
    expect(head).toContain('content-security-policy: ');
    expect(body).toMatch(new RegExp(`"requestId":"${id}"`));
  });

  it('names a taken port, and the way out', async () => {
    const { port } = await open();
    const failure = await FrontDoor.open('127.0.0.1', port).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Rejected);
    expect((failure as Rejected).message).toContain(`Port ${port} on 127.0.0.1 is in use`);
    expect((failure as Rejected).message).toContain(`PORT=${port + 1}`);
  });

  it('names a host that is none of this machine', async () => {
    const failure = await FrontDoor.open('203.0.113.7', 3000).catch((error: unknown) => error);
    expect((failure as Rejected).message).toContain('HOST=203.0.113.7');
  });

  it.each([
    ['that is no HTTP', 'hello\r\n\r\n', '400', 'request.malformed'],
    [
      'with too long headers',
      `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
      '431',
      'request.headers_too_large',
    ],
  ])('refuses a request %s with a problem', async (_, text, status, code) => {
    const { door, port } = await open();
    door.serve((_, response) => response.end('served'));
    const answer = await exchange(port, text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain('Content-Type: application/problem+json');
    expect(answer).toContain('x-content-type-options: nosniff');
    expect(answer).toContain(`"code":"${code}"`);
  });

  it('when it closes, accepts nothing new and lets what is under way finish', async () => {
    const { door, port } = await open();
    let answerNow = () => undefined as void;
    const reached = new Promise<void>((resolve) => {
      door.serve((_, response) => {
        answerNow = () => void response.end('finished');
        resolve();
      });
    });
    const underWay = fetch(`http://127.0.0.1:${port}/`);
    await reached;
    // A door that waits for all of its patience does so longer than a test may take.
    const closing = door.close(3_600_000);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    answerNow();
    expect(await (await underWay).text()).toBe('finished');
    await closing;
  });

  it('when it closes, waits no longer than its patience', async () => {
    const { door, port } = await open();
    const reached = new Promise<void>((resolve) => door.serve(() => resolve()));
    const underWay = fetch(`http://127.0.0.1:${port}/`).catch(() => 'cut off');
    await reached;
    await door.close(10);
    expect(await underWay).toBe('cut off');
  });
});
