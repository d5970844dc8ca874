import { connect, type Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { githubPush, githubRequest, send, signatureOf } from '../../support/github.js';
import { ADMIN_TOKEN, freePort, TestServer } from '../../support/server.js';

const SECRET = 'bad-input-secret-0123456789';

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly { pointer: string; detail: string; line?: number; column?: number }[];
}

/** A server that may not call private addresses or plain HTTP: the defaults. */
const DEFAULTS = { MILLRACE_ALLOW_HTTP_TARGETS: 'false', MILLRACE_ALLOW_PRIVATE_TARGETS: '' };

describe('bad input', () => {
  let server: TestServer;
  let url: string;
  let token: string;
  beforeAll(async () => {
    server = await TestServer.start({ env: DEFAULTS });
    token = ADMIN_TOKEN;
    const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
      name: 'bad input',
      provider: 'github',
      secret: SECRET,
    });
    url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
  });
  afterAll(async () => {
    slow.forEach(({ socket }) => socket.destroy());
    await server.stop();
  });

  interface Slow {
    readonly socket: Socket;
    readonly ended: Promise<string>;
  }
  /** Clients that never come to an end, from the first test to the last: everything else is tested beside them. */
  const slow = new Map<string, Slow>();
  const begin = (name: string, head: string): void => {
    const { port, hostname } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    let received = '';
    const ended = new Promise<string>((resolve) => {
      socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(received));
    });
    socket.write(head);
    const drip = setInterval(() => (socket.writable ? socket.write('x') : clearInterval(drip)), 500);
    drip.unref();
    slow.set(name, { socket, ended });
  };
  beforeAll(() => {
    const path = new URL(url).pathname;
    for (let nth = 0; nth < 20; nth++) {
      begin(
        `body ${nth}`,
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n`,
      );
      begin(`head ${nth}`, `POST ${path} HTTP/1.1\r\nhost: x\r\nx-slow: `);
    }
  });

  const problemOf = async (answer: Response): Promise<Problem> => {
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    const problem = (await answer.json()) as Problem;
    expect(problem.status).toBe(answer.status);
    expect(problem.code).toMatch(/^[a-z_]+(\.[a-z_]+)+$/);
    expect(problem.detail.length).toBeGreaterThan(20);
    return problem;
  };
  const rest = (method: string, path: string, body: unknown, contentType = 'application/json') =>
    fetch(server.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': contentType },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const eventCount = async () => (await server.list('/api/v1/events')).length;

  describe('at the inbound route', () => {
    /** The signature is right: what is wrong is the body behind it. */
    const signed = (body: string, headers: Record<string, string> = {}) => {
      const request = githubRequest('push', {}, SECRET);
      return {
        ...request,
        body,
        headers: { ...request.headers, 'x-hub-signature-256': signatureOf(body, SECRET), ...headers },
      };
    };

    it('answers unknown, malformed and disabled slugs with one and the same 404', async () => {
      const { id, slug } = await server.post<{ id: string; slug: string }>('/api/v1/integrations', {
        name: 'disabled',
        provider: 'generic_webhook',
      });
      await server.call('PATCH', `/api/v1/integrations/${id}`, { enabled: false });
      const answers = await Promise.all(
        [slug, `wh_${'x'.repeat(32)}`, 'no', '%00', '%zz', 'a'.repeat(300)].map((one) =>
          send(`${server.url}/api/v1/webhooks/inbound/${one}`, githubRequest('push', {}, SECRET)),
        ),
      );
      const bodies = await Promise.all(answers.map((answer) => answer.text()));
      expect(answers.map((answer) => answer.status)).toEqual([404, 404, 404, 404, 404, 404]);
      expect(new Set(bodies).size).toBe(1);
    });

    it('answers a wrong signature, a missing one and one flipped byte with 401', async () => {
      const good = githubRequest('push', githubPush(), SECRET);
      const wrong = githubRequest('push', githubPush(), 'another-secret');
      const { 'x-hub-signature-256': _, ...unsigned } = good.headers;
      for (const request of [
        wrong,
        { ...good, headers: unsigned },
        { ...good, body: good.body.replace('refs/', 'Refs/') },
      ]) {
        const answer = await send(url, request);
        expect(answer.status).toBe(401);
        expect(JSON.stringify(await problemOf(answer))).not.toContain(SECRET);
      }
    });

    it('answers a body over 1 MiB with 413', async () => {
      const answer = await send(url, githubRequest('push', { pad: 'x'.repeat(1024 * 1024) }, SECRET));
      expect(answer.status).toBe(413);
      expect((await problemOf(answer)).detail).toContain('1 MiB');
    });

    it('answers truncated JSON, text that is not JSON and invalid UTF-8 with 400', async () => {
      for (const body of ['{"ref":"refs/heads/ma', 'hello', '{"a":1}}']) {
        const answer = await send(url, signed(body));
        expect({ body, status: answer.status }).toEqual({ body, status: 400 });
        await problemOf(answer);
      }
    });

    it('answers JSON nested deeper than 64 levels with 400, and 64 levels with 202', async () => {
      const nested = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;
      expect((await send(url, signed(nested(65)))).status).toBe(400);
      expect((await send(url, signed(nested(10_000)))).status).toBe(400);
      expect((await send(url, signed(nested(64)))).status).toBe(202);
    });

    it('answers a content type that it cannot read with 415, naming those that it can', async () => {
      const answer = await send(url, signed('<xml/>', { 'content-type': 'application/xml' }));
      expect(answer.status).toBe(415);
      expect((await problemOf(answer)).detail).toContain('application/json');
    });

    it('survives a connection that ends in the middle of the body, and stores nothing of it', async () => {
      const before = await eventCount();
      const { port, pathname } = new URL(url);
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(
            `POST ${pathname} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"ref":"refs`,
            () => socket.destroy(),
          );
        });
        socket.on('close', () => resolve());
      });
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
      expect(await eventCount()).toBe(before);
    });

    it('is not confused by keys that mean something to JavaScript', async () => {
      const answer = await send(url, signed('{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}'));
      expect(answer.status).toBe(202);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });

    it('keeps numbers beyond 2^53 and duplicate keys as they were sent', async () => {
      const body = '{"n":12345678901234567890,"a":1,"a":2}';
      const answer = await send(url, signed(body));
      const { eventIds } = (await answer.json()) as { eventIds: string[] };
      const raw = await fetch(`${server.url}/api/v1/events/${eventIds[0]}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(await raw.text()).toContain('12345678901234567890');
    });
  });

  describe('at the REST routes', () => {
    it('answers without a token, with a wrong one, and with a broken header 401', async () => {
      for (const authorization of [undefined, 'Bearer mr_wrong', 'Basic x', 'Bearer']) {
        const answer = await fetch(`${server.url}/api/v1/rules`, { headers: authorization ? { authorization } : {} });
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toContain('Bearer');
        await problemOf(answer);
      }
    });

    it.each([
      ['an open quote', { expression: "data.branch == 'main" }],
      ['a missing operand', { expression: 'data.branch ==' }],
      ['an unknown operator', { field: 'data.branch', operator: 'equalz', value: 'main' }],
      ['a pattern that is no regular expression', { field: 'data.branch', operator: 'matches', value: '(' }],
    ])('refuses a rule with %s, and says where', async (_, conditions) => {
      const answer = await rest('POST', '/api/v1/rules', {
        name: 'broken',
        enabled: true,
        eventSource: '*',
        eventType: 'git.push',
        conditions,
        actions: [{ type: 'create_issue', with: { title: 'x' } }],
      });
      expect([400, 422]).toContain(answer.status);
      const problem = await problemOf(answer);
      expect(problem.errors![0]!.pointer).toMatch(/^\/conditions/);
      expect((await server.list<{ name: string }>('/api/v1/rules')).map((rule) => rule.name)).not.toContain('broken');
    });

    it.each([
      ['an unknown step', 'steps:\n  - id: a\n    uses: htpp\n    with: { url: "https://example.com" }\n', 5, /http/],
      [
        'a duplicate id',
        'steps:\n  - id: a\n    uses: log\n    with: { message: x }\n  - id: a\n    uses: log\n    with: { message: y }\n',
        7,
        /a/,
      ],
      ['an unknown key', 'steps:\n  - id: a\n    uses: log\n    wiht: { message: x }\n', 6, /with/],
      ['broken YAML', 'steps:\n  - id: [a\n', undefined, /./],
    ])('refuses a workflow with %s, and says where', async (_, steps, line, hint) => {
      const source = `name: broken\ntriggers: [{ type: manual }]\n${steps}`;
      const answer = await rest('PUT', '/api/v1/workflows/broken', { source });
      expect([400, 422]).toContain(answer.status);
      const problem = await problemOf(answer);
      const error = problem.errors![0]!;
      expect(error.detail).toMatch(hint);
      expect(error.line).toBeGreaterThan(0);
      expect(error.column).toBeGreaterThan(0);
      if (line !== undefined) expect(error.line).toBe(line);
    });

    it('refuses a workflow that is an alias bomb before it goes off', async () => {
      const levels = Array.from(
        { length: 12 },
        (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(',')}]`,
      );
      const source = `name: bomb\nl0: &l0 [x,x,x,x,x,x,x,x,x,x]\n${levels.join('\n')}\nsteps: []\n`;
      const answer = await rest('PUT', '/api/v1/workflows/bomb', { source });
      expect([400, 413, 422]).toContain(answer.status);
      await problemOf(answer);
    });

    it.each([
      'http://example.com/hook',
      'https://127.0.0.1/hook',
      'https://10.1.2.3/hook',
      'https://[::1]/hook',
      'https://[::ffff:10.0.0.1]/hook',
      'https://2130706433/hook',
      'https://0x7f.1/hook',
      'https://169.254.169.254/latest',
      'https://user:pass@example.com/hook',
      'ftp://example.com/',
      'not a url',
    ])('refuses the webhook URL %s, and says what to do', async (target) => {
      const answer = await rest('POST', '/api/v1/outbound-webhooks', { url: target, events: ['git.push'] });
      expect([400, 422]).toContain(answer.status);
      expect((await problemOf(answer)).errors![0]!.pointer).toBe('/url');
    });

    it('answers a body that is not JSON, a wrong content type and an unknown route with problems', async () => {
      const broken = await rest('POST', '/api/v1/rules', '{"name":');
      expect(broken.status).toBe(400);
      await problemOf(broken);
      const wrongType = await rest('POST', '/api/v1/rules', 'name=x', 'text/csv');
      expect(wrongType.status).toBe(415);
      await problemOf(wrongType);
      const nowhere = await rest('POST', '/api/v1/nowhere', {});
      expect(nowhere.status).toBe(404);
      await problemOf(nowhere);
    });

    it('names an unknown field of a body by its pointer', async () => {
      const answer = await rest('POST', '/api/v1/outbound-webhooks', {
        url: 'https://example.com/hook',
        events: ['git.push'],
        evnts: [],
      });
      expect([400, 422]).toContain(answer.status);
      expect((await problemOf(answer)).errors!.map((error) => error.pointer)).toContain('/evnts');
    });
  });

  describe('from clients that send a byte now and then', () => {
    it('ends within half a minute, in words, and holds up nobody else', async () => {
      expect((await send(url, githubRequest('push', githubPush(), SECRET))).status).toBe(202);
      for (const [name, { ended }] of slow) {
        const answer = await ended;
        expect([name, answer.slice(0, 12)]).toEqual([name, 'HTTP/1.1 408']);
        expect(answer).toContain('within 30 seconds');
      }
      expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    });
  });
});

describe('a bad setting', () => {
  const startWith = async (env: Record<string, string>) => {
    const server = await TestServer.start({ env, waitUntilReady: false });
    const code = await server.exit();
    const { output } = server;
    await server.stop();
    return { code, output };
  };

  it.each([
    [
      'a secret key of the wrong length',
      { MILLRACE_SECRET_KEY: Buffer.alloc(31).toString('base64') },
      'MILLRACE_SECRET_KEY',
      '32',
    ],
    ['an admin token that is too short', { MILLRACE_ADMIN_TOKEN: 'short' }, 'MILLRACE_ADMIN_TOKEN', '32'],
    [
      'a retry schedule that is none',
      { MILLRACE_RETRY_SCHEDULE: '1m,soon' },
      'MILLRACE_RETRY_SCHEDULE',
      'ms, s, m, h, d',
    ],
    ['a port that is none', { PORT: '70000' }, 'PORT', '65535'],
    [
      'a range that is none',
      { MILLRACE_ALLOW_PRIVATE_TARGETS: '10.0.0.0/99' },
      'MILLRACE_ALLOW_PRIVATE_TARGETS',
      'CIDR',
    ],
    ['a role that is none', { MILLRACE_ROLES: 'api,wroker' }, 'MILLRACE_ROLES', 'worker'],
    ['production without a secret key', { NODE_ENV: 'production' }, 'MILLRACE_SECRET_KEY', 'base64'],
    ['a plug-in that is not there', { MILLRACE_PLUGINS: 'no-such-plugin' }, 'MILLRACE_PLUGINS', 'no-such-plugin'],
  ])('%s ends the process with 1 and names the variable and what is allowed', async (_, env, variable, allowed) => {
    const { code, output } = await startWith(env);
    expect(code).toBe(1);
    expect(output).toContain(variable);
    expect(output).toContain(allowed);
    expect(output).not.toMatch(/\n\s+at .*\(.*:\d+:\d+\)/); // no stack trace for a user's mistake
  });

  it('a database that is not there is named, without its password', async () => {
    const port = await freePort();
    const { code, output } = await startWith({
      DATABASE_URL: `postgres://millrace:hunter2hunter2@127.0.0.1:${port}/nowhere`,
    });
    expect(code).toBe(1);
    expect(output).toContain('DATABASE_URL');
    expect(output).toContain(`127.0.0.1:${port}`);
    expect(output).not.toContain('hunter2hunter2');
  });

  it('a port that is taken is named, with the way out', async () => {
    const first = await TestServer.start();
    const port = Number(new URL(first.url).port);
    const second = await TestServer.start({ port, waitUntilReady: false });
    expect(await second.exit()).toBe(1);
    expect(second.output).toContain('PORT');
    expect(second.output).toContain(String(port));
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
    await second.stop();
    expect(await first.stop()).toBe(0);
  });

  it('a data folder that is in use is named, and the server that uses it is not harmed', async () => {
    const first = await TestServer.start();
    const second = await TestServer.start({ dataDir: first.dataDir, waitUntilReady: false });
    expect(await second.exit()).toBe(1);
    expect(second.output).toContain('MILLRACE_DATA_DIR');
    await first.post('/api/v1/integrations', { name: 'still here', provider: 'generic_webhook' });
    expect((await first.list<{ name: string }>('/api/v1/integrations')).map((one) => one.name)).toEqual(['still here']);
    await first.stop();
  });
});
