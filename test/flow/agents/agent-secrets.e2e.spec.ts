import { afterAll, beforeAll, expect, it } from '@jest/globals';

import type { ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { type Double, type DoubleAnswer, type DoubleRequest, served } from '../../../libs/agents/testing/double.js';
import { McpDouble } from '../../../libs/agents/testing/mcp-double.js';
import { OpenAiDouble } from '../../../libs/agents/testing/openai-double.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADMIN_TOKEN, TestServer } from '../../support/server.js';
import { everythingStored, found, VALUE } from '../../support/secret-traces.js';

const json = (status: number, body: unknown): DoubleAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
/** Requests that had the value, by the service that got them. */
const reached = new Set<string>();

/** Services that repeat the credentials that they are sent, where their answers have room for it. */
function services(): Double {
  let seen = '';
  const echo = (): string => seen;
  const mcp = new McpDouble([{ name: 'leak', annotations: { readOnlyHint: true }, run: echo }]);
  const model = new OpenAiDouble(
    [{ calls: [{ name: 'leak', args: {} }] }, { text: `I was called with ${VALUE}, ${encodeURIComponent(VALUE)}` }],
    VALUE,
  );
  let url = '';
  const answers: Readonly<Record<string, (request: DoubleRequest) => DoubleAnswer>> = {
    model: (request) => model.answer(request),
    mcp: (request) => mcp.answer(request),
    agent: () => json(200, { seen, [VALUE]: VALUE }),
    a2a: ({ path }) =>
      path.endsWith('agent-card.json')
        ? json(200, {
            supportedInterfaces: [{ url: `${url}/a2a/v1`, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' }],
          })
        : json(200, { message: { role: 'ROLE_AGENT', parts: [{ text: seen }] } }),
    slack: () => json(200, { ok: false, error: seen }),
    github: ({ path }) =>
      path.includes('acme/open')
        ? json(201, { number: 7, html_url: `https://x/${seen}` })
        : json(422, { message: seen }),
    bot: () => json(401, { error: seen, error_description: seen }),
  };
  return {
    problems: [...mcp.problems, ...model.problems],
    answer(request) {
      const [, name = '', path = ''] = /^\/([^/]*)(.*)$/.exec(request.path) ?? [];
      url = `http://${request.headers['host']}`;
      seen = [...Object.values(request.headers), new URLSearchParams(request.body).get('client_secret') ?? ''].join(
        ' ',
      );
      if (seen.includes(VALUE)) reached.add(name);
      return answers[name]!({ ...request, path });
    },
  };
}

let database: TestDatabase;
let network: Awaited<ReturnType<typeof served>>;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  network = await served(services());
  server = await TestServer.start({
    databaseUrl: database.url,
    env: { LOG_LEVEL: 'debug', MILLRACE_ACTION_RETRY_SCHEDULE: '10ms' },
  });
});
afterAll(async () => {
  await server?.stop();
  await network?.stop();
  await database?.drop();
});

async function setUp(): Promise<readonly string[]> {
  await server.call('PUT', '/api/v1/secrets/TOKEN', { value: VALUE });
  const { url } = network;
  const headers = { authorization: 'Bearer ${{ secrets.TOKEN }}' };
  const config = { apiUrl: `${url}/github`, token: VALUE };
  for (const integration of [
    { name: 'chat', provider: 'slack', secret: VALUE, config: { apiUrl: `${url}/slack`, botToken: VALUE } },
    { name: 'code', provider: 'github', secret: VALUE, config: { ...config, repository: 'acme/open' } },
    { name: 'shut', provider: 'github', secret: VALUE, config: { ...config, repository: 'acme/shut' } },
    {
      name: 'teams',
      provider: 'botframework',
      config: { appId: 'app-1', appPassword: VALUE, tokenUrl: `${url}/bot/token` },
    },
  ])
    await server.post('/api/v1/integrations', integration);
  const model = { baseUrl: `${url}/model/v1`, model: 'small-1', apiKey: '${{ secrets.TOKEN }}', prompt: 'Go.' };
  const tools = [{ mcp: `${url}/mcp/x`, headers, trusted: true, allow: ['leak'] }];
  const ids: string[] = [];
  for (const agent of [
    { name: 'model', runtime: 'openai', config: { ...model, tools } },
    { name: 'http', runtime: 'http', auth: 'bearer', secret: VALUE, config: { url: `${url}/agent/x`, headers } },
    { name: 'a2a', runtime: 'a2a', config: { url: `${url}/a2a/agent-card.json`, headers } },
  ])
    ids.push((await server.post<{ id: string }>('/api/v1/agents', agent)).id);
  await server.post('/api/v1/rules', {
    name: 'tell everybody',
    eventType: 'webhook.received',
    actions: [
      { type: 'send_message', with: { integration: 'chat', channel: '#ops', text: 'hello' } },
      { type: 'send_message', with: { integration: 'teams', channel: 'c', text: 'hello' } },
      { type: 'create_issue', with: { tracker: 'code', title: 'DB latency' } },
      { type: 'create_issue', with: { tracker: 'shut', title: 'DB latency' } },
    ],
  });
  return ids;
}

it('credentials of agents and integrations reach their services, and nothing that is stored, answered or logged', async () => {
  const agents = await setUp();
  const paths: string[] = [];
  for (const id of agents) {
    const { id: executionId } = await server.post<{ id: string }>(`/api/v1/agents/${id}/executions`, { input: {} });
    const path = `/api/v1/agents/${id}/executions/${executionId}`;
    const ended = await waitFor(
      'the execution to end',
      async () => {
        const shown = await server.get<ExecutionDetail>(path);
        return shown.finishedAt !== null && shown;
      },
      () => server.output,
    );
    expect(ended).toMatchObject({ status: 'completed', output: expect.anything() });
    paths.push(path);
  }
  const { id: eventId } = await server.post<{ id: string }>('/api/v1/events', {
    type: 'webhook.received',
    source: 'tests',
    data: { provider: 'tests', payload: {} },
  });
  const outcomes = await waitFor(
    'the outcomes',
    async () => {
      const types = ['message.failed', 'tracker.failed', 'tracker.issue_opened'];
      const all = await Promise.all(types.map((type) => server.list<{ type: string }>(`/api/v1/events?type=${type}`)));
      return all.flat().length === 4 && all.flat();
    },
    () => server.output,
  );
  expect(outcomes.map(({ type }) => type).sort()).toEqual([
    'message.failed',
    'message.failed',
    'tracker.failed',
    'tracker.issue_opened',
  ]);
  expect([...reached].sort()).toEqual(['a2a', 'agent', 'github', 'mcp', 'model', 'slack']);

  const refused = await fetch(`${server.url}/api/v1/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'x', runtime: 'http', config: { url: VALUE, headers: { Authorization: VALUE } } }),
  });
  expect(refused.status).toBe(422);
  const exported = await fetch(`${server.url}/api/v1/events`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, accept: 'application/x-ndjson' },
  });
  const shown = [
    await refused.text(),
    await exported.text(),
    ...(await Promise.all(
      [
        ...['/metrics', '/api/v1/agents', '/api/v1/integrations', '/api/v1/secrets', '/api/v1/actions', ...paths],
        ...agents.flatMap((id) => [`/api/v1/agents/${id}`, `/api/v1/agents/${id}/executions`]),
        `/api/v1/events/${eventId}/trace`,
      ].map((path) => server.text(path)),
    )),
  ].join('\n');
  expect(shown).toContain('agent.finished');
  expect(shown).toContain('***');
  expect(found(shown)).toEqual([]);
  const stored = await everythingStored(database);
  expect(stored).toContain('***');
  expect(found(stored)).toEqual([]);
  expect(found(server.output)).toEqual([]);
});
