// A receiver that verifies every delivery, with nothing but Node: copy `verify` into your own program.
//   WEBHOOK_SECRET=whsec_… node docs/examples/verify-webhook.mjs [port]
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

/** The bytes behind a secret: base64 after `whsec_`, or its text. Throws where there are none: anybody could sign with an empty key. */
function keyOf(secret) {
  const prefix = 'whsec_';
  const key = secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret);
  if (key.length === 0) throw new Error('WEBHOOK_SECRET must be the secret that the webhook was set up with.');
  return key;
}

/** Whether `rawBody` comes from someone who knows `secret`, unchanged, and was sent within the last five minutes. */
export function verify(rawBody, headers, secret, now = Date.now()) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'];
  if (!id || !timestamp || !signatures) return false;
  if (!(Math.abs(now / 1000 - Number(timestamp)) <= 300)) return false;
  const expected = Buffer.from(
    `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.`).update(rawBody).digest('base64')}`,
  );
  // During a rotation there are two signatures, separated by a space: one that fits is enough.
  return signatures.split(' ').some((signature) => {
    const given = Buffer.from(signature);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const secret = process.env.WEBHOOK_SECRET ?? '';
keyOf(secret);
/** Messages that were handled: the same `webhook-id` may come again. A real program keeps this in its database. */
const seen = new Set();

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    // The bytes as they came: JSON that was parsed and written again is another text.
    const rawBody = Buffer.concat(chunks);
    if (!verify(rawBody, request.headers, secret)) return void response.writeHead(401).end('wrong signature');
    const id = request.headers['webhook-id'];
    if (seen.has(id)) return void response.writeHead(200).end('seen before');
    const event = JSON.parse(rawBody.toString('utf8'));
    console.log(`${event.type} ${event.id}`);
    seen.add(id);
    response.writeHead(200).end('thanks');
  });
}).listen(Number(process.argv[2] ?? 4000), '127.0.0.1', function () {
  console.log(`receiver on http://127.0.0.1:${this.address().port}`);
});
