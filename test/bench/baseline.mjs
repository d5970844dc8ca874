/** What B1 is measured against: a bare Fastify handler that checks the HMAC over the raw body and parses the JSON. */
import { createHmac, timingSafeEqual } from 'node:crypto';

import Fastify from 'fastify';

const [port, secret] = process.argv.slice(2);
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/hook', (request, reply) => {
  const expected = createHmac('sha256', secret).update(request.body).digest();
  const given = Buffer.from(String(request.headers['x-hub-signature-256']).slice(7), 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send();
  const payload = JSON.parse(request.body.toString('utf8'));
  return reply.code(202).send({ ref: payload.ref });
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
console.log('listening');
