import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { A2aDouble } from '../../libs/agents/testing/a2a-double.js';
import { type Double, served } from '../../libs/agents/testing/double.js';
import { McpDouble } from '../../libs/agents/testing/mcp-double.js';
import { OpenAiDouble, type Reply } from '../../libs/agents/testing/openai-double.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { freePort, TestServer } from '../support/server.js';

const KEY = 'value of OPENAI_KEY';

/** By the first segment of the path: each scenario has doubles of its own. */
const doubles = new Map<string, Double>();
let network: Awaited<ReturnType<typeof served>>;
let database: TestDatabase;
let port: number;
let server: TestServer;
beforeAll(async () => {
  network = await served({
    problems: [],
    answer(request) {
      const [, name = '', path = ''] = /^\/([^/]*)(.*)$/.exec(request.path) ?? [];
      return doubles.get(name)!.answer({ ...request, path });
    },
  });
  database = await createTestDatabase();
  port = await freePort();
  server = await start();
  await server.call('PUT', '/api/v1/secrets/OPENAI_KEY', { value: KEY });
});
afterAll(async () => {
  await server?.stop();
  await network?.stop();
  await database?.drop();
});

const start = (crashAt?: string): Promise<TestServer> =>
  TestServer.start({
    databaseUrl: database.url,
    port,
    env: {
      MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
      ...(crashAt !== undefined && { MILLRACE_CRASH_AT: crashAt }),
    },
  });

/** Has the server die at the point because of what `act` asks for, and starts the next one. */
async function diesAt(point: string, act: () => Promise<unknown>): Promise<void> {
  await server.stop();
  server = await start(point);
  await act().catch(() => undefined);
  await waitFor(
    `the server to die at ${point}`,
    () => server.exited,
    () => server.output,
  );
  expect(server.child.signalCode).toBe('SIGKILL');
  server = await start();
}

let made = 0;
const agent = async (settings: { runtime: string; config: object }): Promise<string> =>
  (await server.post<{ id: string }>('/api/v1/agents', { name: `agent ${++made}`, ...settings })).id;

/** A model with its replies, and what else its agent has. */
function modelAgent(replies: readonly Reply[], tools: readonly object[] = []) {
  const name = `model-${++made}`;
  const model = new OpenAiDouble(replies, KEY);
  doubles.set(name, model);
  const config = {
    baseUrl: `${network.url}/${name}/v1`,
    model: 'small-1',
    apiKey: '${{ secrets.OPENAI_KEY }}',
    prompt: 'Work on it.',
    tools,
  };
  return { model, settings: { runtime: 'openai', config } };
}

function mcpServer(tool: ConstructorParameters<typeof McpDouble>[0][number]) {
  const name = `tools-${++made}`;
  const tools = new McpDouble([tool]);
  doubles.set(name, tools);
  return { tools, url: `${network.url}/${name}/mcp` };
}

/** Asks for an execution. The process may die before it answers. */
const request = (agentId: string) =>
  server.post<{ id: string }>(`/api/v1/agents/${agentId}/executions`, { input: { n: 1 } });

const untilStatus = (agentId: string, id: string, status: string): Promise<ExecutionDetail> =>
  waitFor(
    `the execution to be ${status}`,
    async () => {
      const shown = await server.get<ExecutionDetail>(`/api/v1/agents/${agentId}/executions/${id}`);
      return shown.status === status && shown;
    },
    () => server.output,
  );

/** Types of what is recorded about an execution. */
const recorded = async (executionId: string): Promise<readonly string[]> => {
  const found = await server.list<{ type: string; data: { executionId?: string } }>('/api/v1/events?type=agent.*');
  return found.flatMap(({ type, data }) => (data.executionId === executionId ? [type] : [])).reverse();
};
const count = (types: readonly string[], type: string): number => types.filter((one) => one === type).length;

/** Has the server die in the middle of an execution. @returns its id. */
async function diesDuring(point: string, agentId: string): Promise<string> {
  await diesAt(point, () => request(agentId));
  const [execution] = await waitFor('the execution', async () => {
    const all = await server.list<{ id: string }>(`/api/v1/agents/${agentId}/executions`);
    return all.length > 0 && all;
  });
  return execution!.id;
}

describe('a process that dies', () => {
  it.each([
    ['before', 1],
    ['after', 2],
  ])('%s the call of a model asks it again, with the same key', async (when, calls) => {
    const { model, settings } = modelAgent([{ text: 'high' }]);
    const id = await agent(settings);
    const executionId = await diesDuring(`agents.${when}-call`, id);
    expect(await untilStatus(id, executionId, 'completed')).toMatchObject({
      output: 'high',
      usage: { inputTokens: 100, outputTokens: 20 },
    });
    expect(model.problems).toEqual([]);
    expect(model.bodies).toHaveLength(calls);
    expect(await recorded(executionId)).toEqual([
      'agent.requested',
      'agent.started',
      'agent.model_called',
      'agent.model_answered',
      'agent.finished',
    ]);
  });

  // The first call lists the tools, the second asks the model.
  it.each([
    ['before', 1],
    ['after', 2],
  ])('%s the call of a tool that is idempotent calls it again, with the same key', async (when, effects) => {
    const { tools, url } = mcpServer({ name: 'set_label', annotations: { readOnlyHint: true, idempotentHint: true } });
    const mcp = { mcp: url, trusted: true, allow: ['set_label'] };
    const { model, settings } = modelAgent(
      [{ calls: [{ name: 'set_label', args: { n: 1 } }] }, { text: 'set' }],
      [mcp],
    );
    const id = await agent(settings);
    const executionId = await diesDuring(`agents.${when}-call:3`, id);
    expect(await untilStatus(id, executionId, 'completed')).toMatchObject({ output: 'set', approvals: [] });
    expect([...model.problems, ...tools.problems]).toEqual([]);
    expect(tools.effects).toHaveLength(effects);
    expect(new Set(tools.effects.map(({ key }) => key)).size).toBe(1);
    const types = await recorded(executionId);
    expect([count(types, 'agent.tool_called'), count(types, 'agent.tool_answered')]).toEqual([1, 1]);
    expect(types).not.toContain('agent.tool_unknown');
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ])('%s the call of any other tool leaves the decision to a person', async (when, effects) => {
    const { tools, url } = mcpServer({ name: 'refund' });
    const { model, settings } = modelAgent(
      [{ calls: [{ name: 'refund', args: { order: 7 } }] }, { text: 'done' }],
      [{ mcp: url }],
    );
    const id = await agent(settings);
    const { id: executionId } = await request(id);
    const path = `/api/v1/agents/${id}/executions/${executionId}`;
    const [asked] = (await untilStatus(id, executionId, 'waiting_approval')).approvals;
    expect(asked).toMatchObject({ reason: 'policy', tool: 'refund', arguments: { order: 7 } });
    await diesAt(`agents.${when}-call`, () => server.post(`${path}/approvals/${asked!.id}`, { decision: 'approve' }));
    const unknown = await waitFor('it to ask again', async () => {
      const { approvals, status } = await server.get<ExecutionDetail>(path);
      return status === 'waiting_approval' && approvals.find(({ reason }) => reason === 'unknown');
    });
    expect(unknown).toMatchObject({ tool: 'refund', arguments: { order: 7 } });
    expect(await recorded(executionId)).toContain('agent.tool_unknown');
    expect(tools.effects).toHaveLength(effects);
    await server.post(`${path}/approvals/${unknown.id}`, { decision: 'approve', result: 'it was refunded' });
    expect(await untilStatus(id, executionId, 'completed')).toMatchObject({ output: 'done' });
    expect(model.bodies.at(-1)!.messages!.at(-1)).toMatchObject({ role: 'tool', content: 'it was refunded' });
    expect([...model.problems, ...tools.problems]).toEqual([]);
    expect(tools.effects).toHaveLength(effects);
  });

  // The first call sends the message, the second asks for the task.
  it.each(['agents.before-call', 'agents.after-call', 'agents.before-call:2', 'agents.after-call:2'])(
    'at %s leaves an A2A agent with one task',
    async (point) => {
      const name = `a2a-${++made}`;
      const double = new A2aDouble(['WORKING', 'WORKING', 'COMPLETED'], `${network.url}/${name}/a2a/v1`);
      const card = `${network.url}/${name}/.well-known/agent-card.json`;
      const id = await agent({ runtime: 'a2a', config: { url: card } });
      doubles.set(name, {
        problems: double.problems,
        answer: (request) =>
          double.answer({
            ...request,
            path: request.path.startsWith('/a2a') ? `/${name}${request.path}` : request.path,
          }),
      });
      const executionId = await diesDuring(point, id);
      expect(await untilStatus(id, executionId, 'completed')).toMatchObject({ output: { priority: 'high' } });
      expect(double.problems).toEqual([]);
      expect(double.tasks.size).toBe(1);
      expect(count(await recorded(executionId), 'agent.finished')).toBe(1);
    },
  );

  it.each(['agents.before-result', 'agents.after-result'])(
    'at %s keeps the result that an agent delivers later, once',
    async (point) => {
      const name = `later-${++made}`;
      const calls: Record<string, string>[] = [];
      doubles.set(name, {
        problems: [],
        answer({ body }) {
          calls.push(JSON.parse(body) as Record<string, string>);
          return { status: 202, body: '' };
        },
      });
      const id = await agent({ runtime: 'http', config: { url: `${network.url}/${name}/run` } });
      const { id: executionId } = await request(id);
      const { callbackUrl, callbackToken } = await waitFor('the call', () => calls[0]);
      await waitFor('the answer to be recorded', async () => (await recorded(executionId)).includes('agent.accepted'));
      const deliver = () =>
        fetch(callbackUrl!, {
          method: 'POST',
          headers: { authorization: `Bearer ${callbackToken}`, 'content-type': 'application/json' },
          body: '{"status":"completed","output":{"n":1}}',
        });
      await diesAt(point, deliver);
      // The agent got no answer, and tries again.
      expect((await deliver()).status).toBe(point === 'agents.before-result' ? 200 : 409);
      expect(await untilStatus(id, executionId, 'completed')).toMatchObject({ output: { n: 1 } });
      expect(count(await recorded(executionId), 'agent.finished')).toBe(1);
    },
  );

  it.each(['agents.before-result', 'agents.after-result'])(
    'at %s gives the model the outcome of a built-in tool, once',
    async (point) => {
      const calls = [{ name: 'create_issue', args: { title: `Once, in spite of ${point}` } }];
      const { model, settings } = modelAgent(
        [{ calls }, { text: 'opened' }],
        [{ builtin: 'create_issue', policy: 'allow' }],
      );
      const id = await agent(settings);
      const executionId = await diesDuring(point, id);
      expect(await untilStatus(id, executionId, 'completed')).toMatchObject({ output: 'opened' });
      expect(model.problems).toEqual([]);
      const types = await recorded(executionId);
      expect([count(types, 'agent.tool_called'), count(types, 'agent.tool_answered')]).toEqual([1, 1]);
      const issues = await server.list<{ title: string }>('/api/v1/issues');
      expect(issues.filter(({ title }) => title.endsWith(point))).toHaveLength(1);
    },
  );

  it.each(['agents.before-close', 'agents.after-close'])(
    'at %s cancels the execution that a run no longer waits for, once',
    async (point) => {
      const name = `idle-${++made}`;
      doubles.set(name, { problems: [], answer: () => ({ status: 202, body: '' }) });
      const id = await agent({ runtime: 'http', config: { url: `${network.url}/${name}/run` } });
      await server.call('PUT', `/api/v1/workflows/${name}`, {
        source: `name: ${name}\ntriggers: [{ type: manual }]\nsteps: [{ uses: dispatch_agent, with: { agent: ${id} } }]\n`,
      });
      const run = await server.post<{ id: string }>(`/api/v1/workflows/${name}/runs`, {});
      const [execution] = await waitFor('the execution to run', async () => {
        const running = await server.list<{ id: string }>(`/api/v1/agents/${id}/executions?status=running`);
        return running.length > 0 && running;
      });
      await diesAt(point, () => server.post(`/api/v1/runs/${run.id}/cancel`, {}));
      await untilStatus(id, execution!.id, 'cancelled');
      expect(count(await recorded(execution!.id), 'agent.cancelled')).toBe(1);
    },
  );
});
