import { Readable } from 'node:stream';

import type { FastifyInstance, FastifyRequest } from 'fastify';

import { networkOf } from '#libs/intake/src/integration/addresses.js';
import { Transient } from '#libs/kernel/src/errors.js';

import { Shares } from './per-network.js';

const MIB = 1024 * 1024;
/** Bytes of bodies under way in this process, from the first byte that arrives until the answer has gone out. */
const ALL_BODIES = 64 * MIB;
const BODIES_OF_NETWORK = 32 * MIB;
/** Up to here a body is counted at once by its Content-Length, above as it arrives. */
const SMALL = 64 * 1024;

/** Somebody sends more, or more slowly, than the server can hold. */
export const BODIES_FULL = 'server.bodies_full';

/**
 * Bounds the memory of all bodies that are being received or worked on. Who may send no body is refused before it is read.
 * @param admit throws for a caller who may not use the route.
 */
export function limitBodies(
  fastify: FastifyInstance,
  admit: (request: FastifyRequest) => void,
  shares = new Shares(ALL_BODIES, BODIES_OF_NETWORK),
): void {
  fastify.addHook('preParsing', (request, reply, payload, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (encoding === undefined && (length === undefined || length === '0')) return done(null, payload);
    try {
      admit(request);
    } catch (error) {
      return done(error as Error);
    }
    const network = networkOf(request.ip);
    let held = 0;
    const take = (bytes: number): void => {
      if (!shares.take(network, bytes)) throw new Transient(BODIES_FULL, 'too many bodies are under way');
      held += bytes;
    };
    reply.raw.once('close', () => shares.give(network, held));
    if (Number(length) > SMALL || length === undefined) return done(null, counted(payload, take));
    try {
      take(Number(length));
    } catch (error) {
      return done(error as Error);
    }
    done(null, payload);
  });
}

function counted(payload: AsyncIterable<unknown>, take: (bytes: number) => void): Readable {
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of payload) {
      take((piece as Buffer).length);
      yield piece as Buffer;
    }
  };
  return Readable.from(pieces(), { objectMode: false });
}
