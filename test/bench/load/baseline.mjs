/**
 * What B1 is measured against: a Fastify handler that checks the HMAC over the raw body and parses the JSON; with the URL of a
 * database, it also inserts one row for each request, as a handler does that is written by hand.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

import Fastify from 'fastify';
import pg from 'pg';

const [port, secret, databaseUrl] = process.argv.slice(2);
const pool = databaseUrl && new pg.Pool({ connectionString: databaseUrl });
if (pool)
  await pool.query(
    'create table inbox (delivery_id text primary key, payload jsonb not null, received_at timestamptz not null default now())',
  );
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/hook', async (request, reply) => {
  const expected = createHmac('sha256', secret).update(request.body).digest();
  const given = Buffer.from(String(request.headers['x-hub-signature-256']).slice(7), 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send();
  const payload = JSON.parse(request.body.toString('utf8'));
  if (pool) {
    const id = request.headers['x-github-delivery'];
    await pool.query('insert into inbox (delivery_id, payload) values ($1, $2) on conflict do nothing', [id, payload]);
  }
  return reply.code(202).send({ ref: payload.ref });
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
console.log('listening');
