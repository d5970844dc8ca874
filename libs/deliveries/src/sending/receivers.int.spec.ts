import { readFileSync } from 'node:fs';
import http, { type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { Running } from '../../testing/running.js';

const TEXT = { 'Content-Type': 'text/plain' };
const certificate = (name: string) => readFileSync(new URL(`../../../egress/testing/${name}`, import.meta.url), 'utf8');
const tls = { key: certificate('receiver.test.key.pem'), cert: certificate('receiver.test.cert.pem') };

let database: TestDatabase;
let stage: Running;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = await Running.start(database.url);
});
afterAll(async () => {
  await stage.stop();
  await database.drop();
});

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    sockets.forEach((socket) => socket.destroy());
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}
const plain = async (listener: RequestListener) => `http://127.0.0.1:${await listen(http.createServer(listener))}/hook`;

/** Bytes that a receiver could send before it was cut off. */
let sent = 0;

/** Writes as fast as they are taken, up to 1 GB. */
function pour(reply: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  while (sent < 1_000_000_000 && !reply.destroyed) {
    sent += chunk.length;
    if (!reply.write(chunk)) return void reply.once('drain', () => pour(reply));
  }
  reply.end();
}

/** A byte now and then, for ever. */
function trickle(reply: ServerResponse): void {
  const timer = setInterval(() => reply.write('x'), 50);
  reply.once('close', () => clearInterval(timer));
}

const RECEIVERS: readonly (readonly [string, () => Promise<string>, object])[] = [
  ['hangs', () => plain(() => undefined), { failureClass: 'timeout', status: null, response: null }],
  [
    'answers a byte at a time',
    () => plain((_, reply) => trickle(reply.writeHead(200, TEXT))),
    { failureClass: 'timeout', status: null },
  ],
  [
    'resets the connection',
    () => plain((_, reply) => void reply.socket!.resetAndDestroy()),
    { failureClass: 'connect', status: null, response: null },
  ],
  [
    'breaks off its answer',
    () => plain((_, reply) => void reply.writeHead(200, { 'Content-Length': '9' }).write('x', () => reply.destroy())),
    { failureClass: 'connect' },
  ],
  [
    'redirects',
    () => plain((_, reply) => void reply.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end()),
    { failureClass: 'redirect', status: 302, response: expect.objectContaining({ status: 302 }) },
  ],
  [
    'sends 1 GB',
    () => plain((_, reply) => pour(reply.writeHead(200, TEXT))),
    { failureClass: 'body_too_large', status: 200 },
  ],
  [
    'announces 1 GB',
    () => plain((_, reply) => pour(reply.writeHead(200, { 'Content-Length': '1000000000' }))),
    { failureClass: 'body_too_large', status: 200 },
  ],
  [
    'sends 1 GB with an error',
    () => plain((_, reply) => pour(reply.writeHead(503, TEXT))),
    { failureClass: 'status', status: 503, response: expect.objectContaining({ truncated: true }) },
  ],
  [
    'has a certificate that nobody trusts',
    async () => `https://127.0.0.1:${await listen(https.createServer(tls, (_, reply) => reply.end()))}/`,
    { failureClass: 'tls', status: null, response: null },
  ],
  [
    'speaks no TLS',
    async () => (await plain((_, reply) => reply.end())).replace('http:', 'https:'),
    { failureClass: 'tls', status: null, response: null },
  ],
  ['has no address', async () => 'https://receiver.invalid/', { failureClass: 'dns', status: null, response: null }],
  [
    'does not listen',
    async () => {
      const url = await plain(() => undefined);
      await closers.pop()!();
      return url;
    },
    { failureClass: 'connect', status: null, response: null },
  ],
];

describe('a delivery to a receiver that', () => {
  it.each(RECEIVERS)('%s is recorded as that', async (_, start, recorded) => {
    sent = 0;
    const url = await start();
    const { id } = await stage.webhooks.create(stage.caller, {
      url,
      events: ['git.push'],
      timeoutMs: 2_000,
      disabled: true,
    });
    await stage.webhooks.change(stage.caller, id, { disabled: false });
    await stage.append('git.push', { branch: 'main' } as never);
    const failed = await waitFor('the attempt to fail', async () => {
      const { data } = await stage.deliveries.listOfWebhook(stage.caller, id, {});
      return data[0]?.attempts === 1 && data[0];
    });
    const { attempts } = await stage.deliveries.view(stage.caller, failed.id);
    expect(attempts).toEqual([
      expect.objectContaining({ outcome: 'failed', retryable: true, detail: expect.any(String), ...recorded }),
    ]);
    const { health } = await stage.webhooks.view(stage.caller, id);
    expect(health).toMatchObject({ state: 'failing', lastFailure: attempts[0]!.detail });
    // No more than the limit of 1 MiB, and what was on its way.
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    await stage.webhooks.remove(stage.caller, id);
  });
});
