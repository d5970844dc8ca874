/**
 * Receivers of deliveries, one per port, in one process. It checks the signature of each call and keeps what a verify pass
 * needs. Its parent controls it by messages:
 *
 *   { listen: 3 }                                           → { ports }
 *   { expect: [{ secret, hexHeader, standard }, …] }        signatures expected at each port → {}
 *   { hang: [0, 1] }                                        these ports accept calls and do not answer → {}
 *   { release: true }                                       all ports answer again, also the waiting calls → {}
 *   { count: true }                                         → { count, ofPorts } calls answered so far
 *   { take: true }                                          → { calls }, and forgets them
 *   { usage: true }                                         → { processorSeconds }
 */
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';

import { processorSeconds, sharedClock } from './http-connection.mjs';

let calls = [];
let ofPorts = [];
let expected = [];
let hanging = new Set();
/** Calls that wait for an answer. */
const waiting = new Set();
const DELIVERY_ID = Buffer.from('"deliveryId":"');

function deliveryIdIn(body) {
  const at = body.indexOf(DELIVERY_ID);
  if (at < 0) return undefined;
  const from = at + DELIVERY_ID.length;
  return body.latin1Slice(from, body.indexOf(0x22, from));
}

function isSigned(port, headers, body) {
  const rule = expected[port];
  if (rule === undefined) return true;
  const hex = `sha256=${createHmac('sha256', rule.secret).update(body).digest('hex')}`;
  if (headers[rule.hexHeader] !== hex) return false;
  if (!rule.standard) return true;
  const key = Buffer.from(rule.secret.replace(/^whsec_/, ''), 'base64');
  const hmac = createHmac('sha256', key)
    .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`)
    .update(body);
  return headers['webhook-signature'] === `v1,${hmac.digest('base64')}`;
}

function answer(call, response) {
  // The client has given up: it does not count as delivered.
  if (response.destroyed) return;
  calls.push(call);
  ofPorts[call.port] = (ofPorts[call.port] ?? 0) + 1;
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
}

const listen = (port) =>
  new Promise((resolve) => {
    const server = createServer((request, response) => {
      const at = sharedClock();
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
        const { headers, url } = request;
        const signed = isSigned(port, headers, body);
        const call = { port, path: url, messageId: headers['webhook-id'], deliveryId: deliveryIdIn(body), at, signed };
        if (hanging.has(port)) waiting.add([call, response]);
        else answer(call, response);
      });
    });
    server.keepAliveTimeout = 60_000;
    server.requestTimeout = 0;
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });

async function handle(message) {
  if (message.listen) return { ports: await Promise.all(Array.from({ length: message.listen }, (_, n) => listen(n))) };
  if (message.expect) expected = message.expect;
  if (message.hang) hanging = new Set(message.hang);
  if (message.release) {
    hanging = new Set();
    for (const [call, response] of waiting) answer(call, response);
    waiting.clear();
  }
  if (message.count) return { count: calls.length, ofPorts };
  if (message.usage) return { processorSeconds: processorSeconds() };
  if (message.take) {
    const taken = calls;
    calls = [];
    ofPorts = [];
    return { calls: taken };
  }
  return {};
}

process.on('message', async ({ number, message }) => process.send({ number, answer: await handle(message) }));
process.on('disconnect', () => process.exit());
