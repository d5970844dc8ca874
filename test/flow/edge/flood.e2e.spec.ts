import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { TestServer } from '../../support/server.js';

const MIB = 1024 * 1024;

/** What strangers send, many at once, who read nothing or never end. */
describe('a flood', () => {
  let server: TestServer;
  let slug: string;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    server = await TestServer.start({ env: { LOG_LEVEL: 'warn' } });
    ({ slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
      name: 'flood',
      provider: 'generic_webhook',
    }));
  });
  afterAll(() => server.stop());
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  /** What comes back, as far as it is read. */
  interface Client {
    readonly socket: Socket;
    text: string;
  }
  const client = async (): Promise<Client> => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const made: Client = { socket, text: '' };
    socket.on('data', (chunk: Buffer) => (made.text += chunk.toString('latin1')));
    return made;
  };
  const clients = (count: number) => Promise.all(Array.from({ length: count }, client));
  const memory = async () => {
    const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024;
  };
  const alive = async () => expect((await fetch(`${server.url}/healthz`)).status).toBe(200);

  it.each([
    '/api/v1/openapi.json',
    '/docs/swagger-ui-bundle.js',
    '/metrics',
    '/readyz',
    '/schemas/workflow.json',
    '/nothing',
  ])(
    'of pipelined GETs of %s whose answers are not read leaves the server answering, and its memory small',
    async (path) => {
      for (const { socket } of await clients(80)) {
        socket.pause();
        socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(Math.ceil((64 * 1024) / (path.length + 26))));
      }
      for (let i = 0; i < 20; i++) await alive();
      expect(await memory()).toBeLessThan(500 * MIB);
    },
  );

  it('of large bodies without a token, or to an address where nothing receives, is answered before they are read', async () => {
    for (const [path, status] of [
      ['/api/v1/rules', 401],
      ['/api/v1/webhooks/inbound/wh_nobody', 404],
      ['/nothing', 404],
    ] as const) {
      const [one] = await clients(1);
      one!.socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${MIB}\r\n\r\n{`,
      );
      await waitFor(`the answer of ${path}`, () => one!.text.startsWith(`HTTP/1.1 ${status} `));
    }
  });

  it.each([
    ['of a declared length', `content-length: ${MIB}\r\n\r\n`, ''],
    ['in chunks', `transfer-encoding: chunked\r\n\r\n`, `${(MIB - 1024).toString(16)}\r\n`],
  ])('of bodies %s that never end is refused with 503, and others get in', async (_, header, prefix) => {
    const body = Buffer.alloc(MIB - 1024, ' ');
    const head = `POST /api/v1/webhooks/inbound/${slug} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${header}${prefix}`;
    const flood = await clients(200);
    for (const { socket } of flood) {
      socket.write(head);
      socket.write(body);
    }
    const refused = () => flood.filter(({ text }) => text.startsWith('HTTP/1.1 503 '));
    // One address may hold 32 MiB.
    await waitFor('the refusals', () => refused().length >= 200 - 33);
    for (const { text } of refused()) expect(text.toLowerCase()).toContain('retry-after: 1');
    expect(flood.length - refused().length).toBeGreaterThan(16);
    await alive();
    expect(await memory()).toBeLessThan(500 * MIB);

    for (const { socket } of flood) socket.destroy();
    await waitFor('a delivery to be accepted', async () => {
      const answer = await fetch(`${server.url}/api/v1/webhooks/inbound/${slug}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text: 'x'.repeat(900_000) }),
      });
      return answer.status === 202;
    });
  });
});
