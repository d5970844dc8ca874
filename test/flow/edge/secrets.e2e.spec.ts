import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { main } from '#apps/cli/src/main.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADMIN_TOKEN, TestServer } from '../../support/server.js';
import { everythingStored, found, inBase64, VALUE } from '../../support/secret-traces.js';

const PLUGIN = `
const echo = (input, { log }) => { log('sent ' + input.key, input); return { ...input, doubled: [input.key + input.key] }; };
export default {
  name: 'echoes', sdk: 1,
  steps: [
    { name: 'echo-back', description: 'Echoes.', inputSchema: { type: 'object' }, effects: true, run: async (input, context) => echo(input, context) },
    { name: 'break', description: 'Breaks.', inputSchema: { type: 'object' }, effects: true, run: async ({ key }) => { throw new Error('Cannot use ' + key); } },
  ],
  actions: [
    { name: 'echo-action', description: 'Echoes.', inputSchema: { type: 'object' }, run: async (input, context) => echo(input, context) },
    { name: 'break-action', description: 'Breaks.', inputSchema: { type: 'object' }, run: async ({ key }) => { throw new Error('Cannot use ' + key); } },
  ],
};
`;
const WORKFLOW = `
name: secretive
triggers: [{ type: manual, inputs: { to: { type: string }, text: { type: string } } }]
steps:
  - id: good
    uses: http
    with:
      method: POST
      url: '\${{ inputs.to }}/good/\${{ secrets.TOKEN }}'
      headers: { authorization: 'Bearer \${{ secrets.TOKEN }}', x-note: 'a \${{ secrets.TOKEN }} b' }
      query: { key: '\${{ secrets.TOKEN }}' }
      body: { nested: [{ token: 'is \${{ secrets.TOKEN }}' }], text: '\${{ inputs.text }}' }
  - id: bad
    uses: http
    with: { url: '\${{ inputs.to }}/bad?key=\${{ secrets.TOKEN }}' }
    retry: { maxAttempts: 2, delay: 10ms }
    onError: continue
  - id: nowhere
    uses: http
    with: { url: 'not a URL \${{ secrets.TOKEN }}' }
    onError: continue
  - id: send
    uses: send_webhook
    with: { url: '\${{ inputs.to }}/hook/\${{ secrets.TOKEN }}', payload: { token: '\${{ secrets.TOKEN }}', text: '\${{ inputs.text }}' } }
  - id: refused
    uses: send_webhook
    with: { url: '\${{ inputs.to }}/bad/\${{ secrets.TOKEN }}', payload: [] }
  - { id: echo, uses: echo-back, with: { key: '\${{ secrets.TOKEN }}' } }
  - { id: break, uses: break, with: { key: '\${{ secrets.TOKEN }}' }, onError: continue }
outputs: { good: '\${{ steps.good.output.body }}', echo: '\${{ steps.echo.output }}' }
`;

/** Echoes all of a request, spelled in each way. */
function echoing(): { server: Server; requests: string[] } {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const seen = JSON.stringify([request.url, request.headers, Buffer.concat(chunks).toString()]);
      requests.push(seen);
      const ways = [VALUE, encodeURIComponent(VALUE), JSON.stringify(VALUE), ...[0, 1, 2].map((at) => inBase64(at))];
      response.writeHead(request.url!.startsWith('/bad') ? 500 : 200, {
        'content-type': 'application/json',
        'x-echo': VALUE,
        'set-cookie': `session=${encodeURIComponent(VALUE)}`,
      });
      response.end(JSON.stringify({ seen, ways, [VALUE]: seen }));
    });
  });
  return { server, requests };
}

let folder: string;
let database: TestDatabase;
let server: TestServer;
let receiver: ReturnType<typeof echoing>;
let to: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-secrets-'));
  await writeFile(join(folder, 'echoes.mjs'), PLUGIN);
  receiver = echoing();
  await new Promise<void>((resolve) => receiver.server.listen(0, '127.0.0.1', resolve));
  to = `http://127.0.0.1:${(receiver.server.address() as AddressInfo).port}`;
  database = await createTestDatabase();
  const env = {
    MILLRACE_PLUGINS: join(folder, 'echoes.mjs'),
    LOG_LEVEL: 'debug',
    MILLRACE_ACTION_RETRY_SCHEDULE: '10ms',
    MILLRACE_SEAL_EVERY: '1s',
  };
  server = await TestServer.start({ databaseUrl: database.url, env });
});
afterAll(async () => {
  await server.stop();
  receiver.server.closeAllConnections();
  receiver.server.close();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly id: string;
  readonly status: string;
  readonly timeline: readonly { stepId: string; status: string; error?: { code: string; message: string } }[];
}

/** What `run export --as-test` prints. */
async function asTest(id: string): Promise<string> {
  let printed = '';
  const out = { write: (text: string) => (printed += text) };
  await main(['run', 'export', id, '--as-test', '--plugins', join(folder, 'echoes.mjs')], {
    env: { MILLRACE_URL: server.url, MILLRACE_TOKEN: ADMIN_TOKEN, XDG_CONFIG_HOME: folder },
    out,
    err: out,
  });
  return printed;
}

describe('secrets', () => {
  it('reach those they are sent to, and nothing that is stored, answered or logged', async () => {
    await server.call('PUT', '/api/v1/secrets/TOKEN', { value: VALUE });
    const saved = await server.call<{ warnings: unknown[] }>('PUT', '/api/v1/workflows/secretive', {
      source: WORKFLOW,
    });
    expect(saved.warnings).toEqual([]);
    await server.post('/api/v1/rules', {
      name: 'tell everybody',
      eventType: 'webhook.received',
      actions: [
        { type: 'send_webhook', with: { url: `${to}/rule/\${{ secrets.TOKEN }}`, payload: ['${{ secrets.TOKEN }}'] } },
        { type: 'send_webhook', with: { url: `${to}/event/\${{ secrets.TOKEN }}` } },
        { type: 'echo-action', with: { key: '${{ secrets.TOKEN }}' } },
        { type: 'break-action', with: { key: '${{ secrets.TOKEN }}' } },
      ],
    });
    // A text that only looks like one is sent as it is.
    const text = '${{ secrets.TOKEN }}';
    const { id } = await server.post<Run>('/api/v1/workflows/secretive/runs', { inputs: { to, text } });
    await server.post('/api/v1/events', {
      type: 'webhook.received',
      source: 'tests',
      data: { provider: 'tests', payload: { text } },
    });
    const run = await waitFor(
      'the run to end',
      async () => {
        const now = await server.get<Run>(`/api/v1/runs/${id}`);
        return ['completed', 'failed'].includes(now.status) && now;
      },
      () => server.output,
    );
    expect(run.timeline.map(({ stepId, status, error }) => `${stepId} ${status} ${error?.code ?? ''}`.trim())).toEqual([
      'good completed',
      'bad failed http.status',
      'nowhere failed step.bad_input',
      'send completed',
      'refused completed',
      'echo completed',
      'break failed step.bug',
    ]);
    await waitFor(
      'the actions of the rule',
      async () => {
        const done = await server.list<{ type: string }>('/api/v1/events?type=action.*');
        const ends = done.filter(({ type }) => type === 'action.completed' || type === 'action.failed');
        return (
          ends.length >= 2 &&
          receiver.requests.some((one) => one.includes('/rule/')) &&
          receiver.requests.some((one) => one.includes('/event/'))
        );
      },
      () => server.output,
    );
    await waitFor('the outcomes of deliveries', async () => {
      const outcomes = await server.list<{ type: string }>('/api/v1/events?type=webhook.*');
      return outcomes.filter(({ type }) => type === 'webhook.delivered').length >= 3;
    });

    const encoded = new URL(`http://x/${VALUE}`).pathname;
    for (const path of ['/good', '/bad', '/hook', '/rule', '/event']) {
      const sent = receiver.requests.filter((one) => one.startsWith(`["${path}`)).join('\n');
      expect(sent).toContain(path === '/bad' ? 'bad' : JSON.stringify(encoded).slice(1, -1));
    }
    const good = receiver.requests.find((one) => one.startsWith('["/good'))!;
    expect(good).toContain(JSON.stringify(`Bearer ${VALUE}`).slice(1, -1));
    expect(good).toContain(JSON.stringify(JSON.stringify({ nested: [{ token: `is ${VALUE}` }], text })).slice(1, -1));

    // Replaced: receivers still answer with the value of before.
    await server.call('PUT', '/api/v1/secrets/TOKEN', { value: 'another value of it' });
    const after = await server.post<Run>('/api/v1/workflows/secretive/runs', { inputs: { to, text } });
    await waitFor('the second run to end', async () => {
      const { status } = await server.get<Run>(`/api/v1/runs/${after.id}`);
      return status === 'completed';
    });

    const stored = await everythingStored(database);
    // What there is to find is there: requests with the name of the secret, and answers with what stands for it.
    expect(stored).toContain('/good/${{ secrets.TOKEN }}');
    expect(stored).toContain('***');
    expect(found(stored)).toEqual([]);
    expect(found(server.output)).toEqual([]);
    expect(server.output).toContain('sent ***');
    const deliveries = await server.list<{ id: string }>('/api/v1/events?type=webhook.requested');
    const exported = await waitFor('a checkpoint behind the second run', async () => {
      const lines = await server.text('/api/v1/audit/export').catch(() => '');
      return lines.includes(after.id) && lines;
    });
    const pages = [
      await server.text('/metrics'),
      await server.text(`/api/v1/runs/${id}`),
      await server.text(`/api/v1/runs/${after.id}`),
      await server.text('/api/v1/runs'),
      await server.text('/api/v1/deliveries'),
      exported,
      await server.text('/api/v1/workflows/secretive/decisions'),
      await asTest(id),
      await server.text('/api/v1/events?limit=200'),
      await server.text('/api/v1/secrets'),
      await server.text('/api/v1/workflows/secretive'),
      ...(await Promise.all(deliveries.map((one) => server.text(`/api/v1/events/${one.id}/trace`)))),
      ...(await Promise.all(deliveries.map((one) => server.text(`/api/v1/events/${one.id}/decisions`)))),
    ];
    expect(found(pages.join('\n'))).toEqual([]);
  });

  it('fail the step that uses one that does not exist, and a delivery is not sent', async () => {
    await server.call('DELETE', '/api/v1/secrets/TOKEN');
    const before = receiver.requests.length;
    const saved = await server.call<{ warnings: { code: string; line: number; column: number }[] }>(
      'PUT',
      '/api/v1/workflows/secretive',
      { source: `${WORKFLOW}# again\n` },
    );
    expect(saved.warnings.map(({ code }) => code)).toEqual(Array(12).fill('secret.unknown'));
    const { id } = await server.post<Run>('/api/v1/workflows/secretive/runs', { inputs: { to, text: '' } });
    const run = await waitFor('the run to end', async () => {
      const now = await server.get<Run>(`/api/v1/runs/${id}`);
      return now.status === 'failed' && now;
    });
    expect(run.timeline[0]).toMatchObject({ status: 'failed', error: { code: 'secret.unknown' } });
    expect(receiver.requests).toHaveLength(before);
    // The value is gone as well.
    await waitFor('the value to be deleted', async () => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      const { rows } = await client.query(`select 1 from views.secrets where reference like 'sec\\_%/value/%'`);
      await client.end();
      return rows.length === 0;
    });
  });

  it('are set by those who may design, and listed for everybody in the organisation', async () => {
    const { token } = await server.post<{ token: string }>('/api/v1/tokens', { name: 'reader', roles: ['auditor'] });
    const answers = async (method: string, bearer: string) =>
      (
        await fetch(`${server.url}/api/v1/secrets${method === 'GET' ? '' : '/OTHER'}`, {
          method,
          headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
          ...(method === 'PUT' && { body: JSON.stringify({ value: 'long enough' }) }),
        })
      ).status;
    expect([await answers('PUT', token), await answers('DELETE', token), await answers('GET', token)]).toEqual([
      403, 403, 200,
    ]);
    expect([await answers('PUT', ADMIN_TOKEN), await answers('DELETE', ADMIN_TOKEN)]).toEqual([200, 204]);
  });
});
