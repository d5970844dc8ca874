/**
 * A load generator in a process of its own: raw sockets, requests prepared once, one request at a time on each
 * connection. It costs so little beside the server that the server is what is measured.
 *
 *   node load.mjs '{"port":3000,"path":"/…","connections":64,"seconds":5,"bodyFile":"…","headers":{…},"rate":0}'
 *
 * Every request has a delivery id of its own: in the header `idHeader`, or, with `slackSecret`, in place of the #s of the
 * body, which is then signed as Slack does. Prints one JSON line: acknowledged, failed, seconds, latencies in ms and,
 * with `record`, the delivery ids that were acknowledged, into that file. `rate` > 0 sends at that many a second.
 */
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';

const options = JSON.parse(process.argv[2]);
const { port, path, connections, seconds, headers, rate = 0, prefix = 'bench', record } = options;
const { idHeader = 'x-github-delivery', slackSecret } = options;
const body = readFileSync(options.bodyFile);

const PLACEHOLDER = '#'.repeat(36);
/** The same for all: a run is shorter than Slack's five minutes. */
const TIMESTAMP = String(Math.floor(Date.now() / 1000));
const head = Buffer.from(
  [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    `content-length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(slackSecret === undefined
      ? [`${idHeader}: ${PLACEHOLDER}`]
      : [`x-slack-request-timestamp: ${TIMESTAMP}`, `x-slack-signature: v0=${'0'.repeat(64)}`]),
    '',
    '',
  ].join('\r\n'),
  'latin1',
);
const idAt = slackSecret === undefined ? head.indexOf(PLACEHOLDER) : head.length + body.indexOf(PLACEHOLDER);
const signatureAt = head.indexOf('v0=') + 3;
const run = `${prefix}-${process.pid.toString(36)}-${Date.now().toString(36)}-`.slice(0, 24);

let sent = 0;
let failed = 0;
const latencies = [];
const acknowledged = [];
const statuses = {};
const start = performance.now();
const end = start + seconds * 1000;
let nextSlot = start;

function lane() {
  return new Promise((resolve) => {
    const request = Buffer.concat([head, body]);
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let began = 0;
    let id = '';
    let pending = '';
    const next = () => {
      const now = performance.now();
      if (now >= end) return socket.end();
      if (rate > 0) {
        // A fixed schedule shared by all lanes: lateness of the server counts as latency.
        const slot = nextSlot;
        nextSlot += 1000 / rate;
        if (slot > now) return void setTimeout(() => fire(slot), slot - now);
        return fire(slot);
      }
      fire(now);
    };
    const fire = (at) => {
      began = at;
      id = (run + String(sent++).padStart(36 - run.length, '0')).slice(0, 36);
      request.latin1Write(id, idAt, 36);
      if (slackSecret !== undefined) {
        const hmac = createHmac('sha256', slackSecret).update(`v0:${TIMESTAMP}:`).update(request.subarray(head.length));
        request.latin1Write(hmac.digest('hex'), signatureAt, 64);
      }
      socket.write(request);
    };
    socket.on('connect', next);
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      const headEnd = pending.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const length = /content-length: (\d+)/i.exec(pending);
      if (pending.length < headEnd + 4 + Number(length?.[1] ?? 0)) return;
      const status = pending.slice(9, 12);
      pending = '';
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status[0] === '2') {
        latencies.push(performance.now() - began);
        if (record) acknowledged.push(id);
      } else failed += 1;
      next();
    });
    socket.on('error', () => (failed += 1));
    socket.on('close', resolve);
  });
}

await Promise.all(Array.from({ length: connections }, lane));
const took = (performance.now() - start) / 1000;
latencies.sort((a, b) => a - b);
const percentile = (p) => latencies[Math.min(latencies.length - 1, Math.floor((latencies.length * p) / 100))] ?? 0;
if (record) writeFileSync(record, acknowledged.join('\n'));
console.log(
  JSON.stringify({
    acknowledged: latencies.length,
    failed,
    statuses,
    seconds: took,
    perSecond: latencies.length / took,
    p50: percentile(50),
    p95: percentile(95),
    p99: percentile(99),
    max: latencies.at(-1) ?? 0,
  }),
);
