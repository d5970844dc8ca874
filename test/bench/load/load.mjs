/**
 * A load generator in its own process: requests are prepared once and sent one at a time on each connection. Its own CPU time
 * is part of the result.
 *
 *   node load.mjs '{"port":3000,"path":"/…","connections":64,"seconds":5,"variants":[{"bodyFile":"…","headers":{…}}],"rate":0}'
 *
 * Ends after `seconds` or after `count` requests. `rate` > 0 sends at that many a second by a fixed schedule, so that
 * lateness of the server counts as latency; 0 sends as fast as answers come. Requests take their body and headers from
 * `variants` in turn.
 *
 * Every request has a delivery id of its own: in the header `idHeader`, or in place of the #s of the body (`idInBody`),
 * which `slackSecret` then signs as Slack does. Prints one JSON line. `record` names a file for what was acknowledged:
 * a line for each, `id time variant answer`: when the request was due, on the clock that all processes share, and the id of
 * the event or run in the answer. With `follow` a request is over when the run that it has started is.
 */
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

import { HttpConnection, processorSeconds, sharedClock } from './http-connection.mjs';

const options = JSON.parse(process.argv[2]);
const { port, path, connections, seconds = Infinity, count = Infinity, rate = 0 } = options;
const { record, slackSecret, follow } = options;
const { idHeader = 'x-github-delivery', idInBody = slackSecret !== undefined } = options;

const PLACEHOLDER = '#'.repeat(36);
/** The same for all: a run is shorter than Slack's five minutes. */
const TIMESTAMP = String(Math.floor(Date.now() / 1000));
const run = `bench-${process.pid.toString(36)}-${Date.now().toString(36)}-`.slice(0, 24);

const templates = options.variants.map(({ bodyFile, headers }) => {
  const body = readFileSync(bodyFile);
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    `content-length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(idInBody ? [] : [`${idHeader}: ${PLACEHOLDER}`]),
    ...(slackSecret === undefined
      ? []
      : [`x-slack-request-timestamp: ${TIMESTAMP}`, `x-slack-signature: v0=${'0'.repeat(64)}`]),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return {
    bytes: Buffer.concat([head, body]),
    idAt: idInBody ? head.length + body.indexOf(PLACEHOLDER) : head.indexOf(PLACEHOLDER),
    bodyAt: head.length,
    signatureAt: head.indexOf('v0=') + 3,
  };
});

let sent = 0;
let failed = 0;
const latencies = [];
const acknowledged = [];
const statuses = {};
const start = sharedClock();
const end = start + seconds * 1000;
let nextSlot = start;

const due = () => {
  if (rate <= 0) return sharedClock();
  const slot = nextSlot;
  nextSlot += 1000 / rate;
  return slot;
};

const ANSWER_ID = /"(?:eventIds":\["|id":")([^"]+)"/;
const LOOK_AGAIN_MS = 5;

/** Polls a run until it has ended. */
async function runEnds(connection, id, answer) {
  const headers = Object.entries(follow.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `GET ${follow.path}/${id} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${headers.join('')}\r\n`;
  while (/"status":"(running|waiting)"/.test(answer)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    answer = (await connection.send(request)).body;
  }
}

async function lane() {
  const connection = await HttpConnection.open(port);
  // Each lane writes its own copies: a request may still be in the socket's buffer when another lane sends.
  const requests = templates.map(({ bytes }) => Buffer.from(bytes));
  while (sent < count && sharedClock() < end) {
    const n = sent++;
    const at = due();
    const wait = at - sharedClock();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const variant = n % templates.length;
    const { idAt, bodyAt, signatureAt } = templates[variant];
    const request = requests[variant];
    const id = (run + String(n).padStart(36 - run.length, '0')).slice(0, 36);
    request.latin1Write(id, idAt, 36);
    if (slackSecret !== undefined) {
      const hmac = createHmac('sha256', slackSecret).update(`v0:${TIMESTAMP}:`).update(request.subarray(bodyAt));
      request.latin1Write(hmac.digest('hex'), signatureAt, 64);
    }
    const { status, body } = await connection.send(request);
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status < 200 || status > 299) {
      failed += 1;
      continue;
    }
    const answerId = ANSWER_ID.exec(body)?.[1] ?? '-';
    if (follow) await runEnds(connection, answerId, body);
    latencies.push(sharedClock() - at);
    if (record) acknowledged.push(`${id} ${at} ${variant} ${answerId}`);
  }
  connection.close();
}

const before = processorSeconds();
await Promise.all(
  Array.from({ length: connections }, () =>
    lane().catch(() => {
      failed += 1;
    }),
  ),
);
const ended = sharedClock();
const processor = processorSeconds() - before;
const took = (ended - start) / 1000;
latencies.sort((a, b) => a - b);
const percentile = (p) => latencies[Math.min(latencies.length - 1, Math.floor((latencies.length * p) / 100))] ?? 0;
if (record) writeFileSync(record, acknowledged.join('\n'));
console.log(
  JSON.stringify({
    acknowledged: latencies.length,
    failed,
    statuses,
    start,
    end: ended,
    seconds: took,
    perSecond: latencies.length / took,
    p50: percentile(50),
    p95: percentile(95),
    p99: percentile(99),
    max: latencies.at(-1) ?? 0,
    processorShare: processor / took,
  }),
);
