import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { freePort } from '../../../../test/support/server.js';
import { FrontDoor } from '../http/front-door.js';
import { MAX_UNDER_WAY } from './connection.js';

describe('a connection', () => {
  let door: FrontDoor;
  let port: number;
  const sockets: Socket[] = [];
  const open = async (trustProxy: readonly string[] = []) => {
    port = await freePort();
    door = await FrontDoor.open('127.0.0.1', port, trustProxy);
  };
  const client = async (localAddress = '127.0.0.1'): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await door.close(0);
  });

  /** The server may have closed it before anybody listened, and an end that nobody reads is not noticed. */
  const closed = async (socket: Socket): Promise<void> => {
    socket.resume();
    if (!socket.closed) await once(socket, 'close');
  };

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
  /** Each response is kept until the test answers it. */
  const keepAll = () => {
    const kept: { url: string; response: ServerResponse }[] = [];
    door.serve((request, response) => void kept.push({ url: request.url!, response }));
    return kept;
  };

  it('that pipelines more than 16 requests waits with the rest until it is answered, in order', async () => {
    await open();
    const kept = keepAll();
    const socket = await client();
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const total = 1_000;
    socket.write(Array.from({ length: total }, (_, i) => get(`/${i}`)).join(''));
    for (let answered = 0; answered < total;) {
      await waitFor('requests', () => kept.length > answered);
      expect(kept.length - answered).toBeLessThanOrEqual(MAX_UNDER_WAY);
      for (; answered < kept.length; answered++) kept[answered]!.response.end(`<${kept[answered]!.url}>`);
    }
    await waitFor('the last answer', () => text.includes(`</${total - 1}>`));
    expect([...text.matchAll(/<\/(\d+)>/g)].map(([, i]) => Number(i))).toEqual(
      Array.from({ length: total }, (_, i) => i),
    );
  });

  it('gets bodies whole, however they are cut and whatever is in them', async () => {
    await open();
    door.serve((request, response) => {
      let size = 0;
      request.on('data', (chunk: Buffer) => (size += chunk.length));
      request.on('end', () => response.end(`<${size}>`));
    });
    const socket = await client();
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const body = 'HTTP/1.1 HTTP/\r\n'.repeat(20_000);
    const post = `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    socket.write(post.repeat(20));
    await waitFor('the answers', () => text.split(`<${body.length}>`).length === 21);
  });

  it('that does not read its answers makes the server do no more than 16 of them', async () => {
    await open();
    let asked = 0;
    const large = Buffer.alloc(1024 * 1024);
    door.serve((_, response) => {
      asked += 1;
      response.end(large);
    });
    const many = await Promise.all(Array.from({ length: 80 }, () => client()));
    for (const socket of many) socket.pause().write(get('/').repeat(1_500));
    // One that reads is served all the while, and after everything that came before it.
    const polite = await client();
    polite.write(get('/'));
    let read = 0;
    polite.on('data', (chunk: Buffer) => (read += chunk.length));
    await waitFor('its answer', () => read > large.length);
    // What fits into the buffers of the kernel has been sent, up to some megabytes for each.
    expect(asked).toBeLessThan(80 * (MAX_UNDER_WAY + 16));
  });

  const busy = (ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end;);
  };

  it('that asks for the first time is answered before what others have pipelined', async () => {
    await open();
    let accepted = 0;
    door.server.on('connection', () => (accepted += 1));
    let handled = 0;
    door.serve((request, response) => {
      handled += 1;
      // Longer than a turn: in one turn of the event loop no more than one piece is done.
      if (request.url === '/pipelined') busy(6);
      response.end('<done>');
    });
    const flood = await Promise.all(Array.from({ length: 60 }, () => client()));
    for (const socket of flood) socket.resume().write(get('/pipelined').repeat(50));
    await waitFor('the flood to begin', () => accepted === 60 && handled > 60);
    for (let i = 0; i < 5; i++) {
      const before = handled;
      const polite = await client();
      polite.write(get('/polite'));
      await once(polite, 'data');
      // To connect, to write and to read takes some turns of the loop, with at most two pipelined requests in each.
      expect(handled - before).toBeLessThanOrEqual(20);
    }
  });

  it('that is new is accepted before most of what others have pipelined', async () => {
    await open();
    let pipelined = 0;
    const atAccept: number[] = [];
    door.server.on('connection', () => atAccept.push(pipelined));
    door.serve((_, response) => {
      pipelined += 1;
      busy(0.5);
      response.end('<done>');
    });
    const socket = await client();
    socket.resume().write(get('/').repeat(1_000));
    await waitFor('the flood to begin', () => pipelined > 1);
    await Promise.all(Array.from({ length: 60 }, () => client()));
    await waitFor('all to be accepted', () => atAccept.length === 61);
    // Two for each, where a whole turn has room for ten.
    expect(atAccept.at(-1)! - atAccept[1]!).toBeLessThanOrEqual(59 * 3);
  });

  it('that pipelines takes turns with others that do, however many requests it has sent', async () => {
    await open();
    const handled: string[] = [];
    door.serve((request, response) => {
      handled.push(request.url!);
      response.end('<done>');
    });
    const [long, short] = [await client(), await client()];
    for (const socket of [long, short]) socket.resume();
    long.write(get('/long').repeat(2_000));
    short.write(get('/short').repeat(50));
    await waitFor('the short one', () => handled.filter((url) => url === '/short').length === 50);
    expect(handled.filter((url) => url === '/long').length).toBeLessThan(200);
  });

  it('whose client sends no more gets the answers to everything that it has sent', async () => {
    await open();
    door.serve((_, response) => response.end('<done>'));
    const socket = await client();
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.end(get('/').repeat(500));
    await closed(socket);
    expect(text.split('<done>')).toHaveLength(501);
  });

  it('that ends takes with it the answers that still wait in the queue', async () => {
    await open();
    const kept = keepAll();
    const socket = await client();
    socket.write(get('/').repeat(5));
    await waitFor('requests', () => kept.length === 5);
    const allClosed = Promise.all(kept.map(({ response }) => once(response, 'close')));
    socket.destroy();
    await allClosed;
  });

  it('that sends what is parsed as requests and does not look like them is closed', async () => {
    await open();
    keepAll();
    const socket = await client();
    socket.write('SOURCE /x ICE/1.0\r\nConnection: keep-alive\r\n\r\n'.repeat(1_000));
    await closed(socket);
  });

  it('is refused beyond 1,000 of one address, while another address gets in', async () => {
    await open();
    door.serve((_, response) => response.end('<served>'));
    await Promise.all(Array.from({ length: 1_000 }, () => client()));
    const late = await client();
    await closed(late);
    const other = await client('127.0.0.2');
    let text = '';
    other.on('data', (chunk: Buffer) => (text += chunk.toString()));
    other.write(get('/'));
    await waitFor('the answer', () => text.includes('<served>'));
  });

  it('is not counted if it comes from a trusted proxy', async () => {
    await open(['127.0.0.0/8']);
    door.serve((_, response) => response.end('<served>'));
    await Promise.all(Array.from({ length: 1_000 }, () => client()));
    const late = await client();
    let text = '';
    late.on('data', (chunk: Buffer) => (text += chunk.toString()));
    late.write(get('/'));
    await waitFor('the answer', () => text.includes('<served>'));
  });
});
