import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { A2aDouble } from '../../libs/agents/testing/a2a-double.js';
import { type Double, served } from '../../libs/agents/testing/double.js';
import { McpDouble } from '../../libs/agents/testing/mcp-double.js';
import { OpenAiDouble, type Reply } from '../../libs/agents/testing/openai-double.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { freePort, type ServerOptions, TestServer } from '../support/server.js';

const KEY = 'value of OPENAI_KEY';

/** By the first segment of the path: each scenario has doubles of its own. */
const doubles = new Map<string, Double>();
let network: Awaited<ReturnType<typeof served>>;
/** With the secret; each scenario begins with a copy. */
let prepared: TestDatabase;
const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') };
beforeAll(async () => {
  network = await served({
    problems: [],
    answer(request) {
      const [, name = '', path = ''] = /^\/([^/]*)(.*)$/.exec(request.path) ?? [];
      return doubles.get(name)!.answer({ ...request, path });
    },
  });
  prepared = await createTestDatabase();
  const server = await TestServer.start({ databaseUrl: prepared.url, env });
  await server.call('PUT', '/api/v1/secrets/OPENAI_KEY', { value: KEY });
  await server.stop();
});
afterAll(async () => {
  await network?.stop();
  await prepared?.drop();
});

/** A server that dies at a crash point, and the one after it. */
class World {
  private constructor(
    readonly point: string,
    private readonly settings: ServerOptions,
    public server: TestServer,
  ) {}

  static async run(point: string, scenario: (world: World) => Promise<void>): Promise<void> {
    const database = await createTestDatabase({ copyOf: prepared });
    const settings = { databaseUrl: database.url, port: await freePort(), env };
    const dying = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: point } });
    const world = new World(point, settings, dying);
    try {
      await scenario(world);
    } finally {
      await world.server.stop();
      await database.drop();
    }
  }

  /** Has the server die because of what `act` asks for, and starts the next one. */
  async dies(act: () => Promise<unknown>): Promise<void> {
    await act().catch(() => undefined);
    await waitFor(
      `the server to die at ${this.point}`,
      () => this.server.exited,
      () => this.server.output,
    );
    expect(this.server.child.signalCode).toBe('SIGKILL');
    this.server = await TestServer.start(this.settings);
  }

  async agent(settings: { runtime: string; config: object }): Promise<string> {
    return (await this.server.post<{ id: string }>('/api/v1/agents', { name: 'one', ...settings })).id;
  }

  /** Asks for an execution. The process may die before it answers. */
  request(agentId: string): Promise<{ id: string }> {
    return this.server.post(`/api/v1/agents/${agentId}/executions`, { input: { n: 1 } });
  }

  /** Dies in the middle of an execution. @returns its id. */
  async diesDuring(agentId: string): Promise<string> {
    await this.dies(() => this.request(agentId));
    const [execution] = await waitFor('the execution', async () => {
      const all = await this.server.list<{ id: string }>(`/api/v1/agents/${agentId}/executions`);
      return all.length > 0 && all;
    });
    return execution!.id;
  }

  untilStatus(agentId: string, id: string, status: string): Promise<ExecutionDetail> {
    return waitFor(
      `the execution to be ${status}`,
      async () => {
        const shown = await this.server.get<ExecutionDetail>(`/api/v1/agents/${agentId}/executions/${id}`);
        return shown.status === status && shown;
      },
      () => this.server.output,
    );
  }

  /** Types of what is recorded about an execution. */
  async recorded(executionId: string): Promise<readonly string[]> {
    const found = await this.server.list<{ type: string; data: { executionId?: string } }>(
      '/api/v1/events?type=agent.*',
    );
    return found.flatMap(({ type, data }) => (data.executionId === executionId ? [type] : [])).reverse();
  }
}
const count = (types: readonly string[], type: string): number => types.filter((one) => one === type).length;

let made = 0;
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

describe('a process that dies', () => {
  // Two at a time (`maxConcurrency`): much of a scenario is waiting for the claims of the dead process to end.
  it.concurrent.each([
    ['before', 1],
    ['after', 2],
  ])('%s the call of a model asks it again, with the same key', async (when, calls) =>
    World.run(`agents.${when}-call`, async (world) => {
      const { model, settings } = modelAgent([{ text: 'high' }]);
      const id = await world.agent(settings);
      const executionId = await world.diesDuring(id);
      expect(await world.untilStatus(id, executionId, 'completed')).toMatchObject({
        output: 'high',
        usage: { inputTokens: 100, outputTokens: 20 },
      });
      expect(model.problems).toEqual([]);
      expect(model.bodies).toHaveLength(calls);
      expect(await world.recorded(executionId)).toEqual([
        'agent.requested',
        'agent.started',
        'agent.model_called',
        'agent.model_answered',
        'agent.finished',
      ]);
    }),
  );

  it.concurrent.each(['before', 'after'])('%s tools are listed asks for them again, as the log says', async (when) =>
    World.run(`agents.${when}-call`, async (world) => {
      const { tools, url } = mcpServer({ name: 'refund' });
      const { model, settings } = modelAgent([{ text: 'done' }], [{ mcp: url }]);
      const id = await world.agent(settings);
      const executionId = await world.diesDuring(id);
      await world.untilStatus(id, executionId, 'completed');
      const types = await world.recorded(executionId);
      expect([count(types, 'agent.tools_requested'), count(types, 'agent.tools_listed')]).toEqual([1, 1]);
      expect([...model.problems, ...tools.problems]).toEqual([]);
    }),
  );

  // The first call lists the tools, the second asks the model.
  it.concurrent.each([
    ['before', 1],
    ['after', 2],
  ])('%s the call of a tool that is idempotent calls it again, with the same key', async (when, effects) =>
    World.run(`agents.${when}-call:3`, async (world) => {
      const annotations = { readOnlyHint: true, idempotentHint: true };
      const { tools, url } = mcpServer({ name: 'set_label', annotations });
      const mcp = { mcp: url, trusted: true, allow: ['set_label'] };
      const { model, settings } = modelAgent(
        [{ calls: [{ name: 'set_label', args: { n: 1 } }] }, { text: 'set' }],
        [mcp],
      );
      const id = await world.agent(settings);
      const executionId = await world.diesDuring(id);
      expect(await world.untilStatus(id, executionId, 'completed')).toMatchObject({ output: 'set', approvals: [] });
      expect([...model.problems, ...tools.problems]).toEqual([]);
      expect(tools.effects).toHaveLength(effects);
      expect(new Set(tools.effects.map(({ key }) => key)).size).toBe(1);
      const types = await world.recorded(executionId);
      expect([count(types, 'agent.tool_called'), count(types, 'agent.tool_answered')]).toEqual([1, 1]);
      expect(types).not.toContain('agent.tool_unknown');
    }),
  );

  it.concurrent.each([
    ['before', 0],
    ['after', 1],
  ])('%s the call of any other tool leaves the decision to a person', async (when, effects) =>
    World.run(`agents.${when}-call:3`, async (world) => {
      const { tools, url } = mcpServer({ name: 'refund' });
      const { model, settings } = modelAgent(
        [{ calls: [{ name: 'refund', args: { order: 7 } }] }, { text: 'done' }],
        [{ mcp: url }],
      );
      const id = await world.agent(settings);
      const { id: executionId } = await world.request(id);
      const path = `/api/v1/agents/${id}/executions/${executionId}`;
      const [asked] = (await world.untilStatus(id, executionId, 'waiting_approval')).approvals;
      expect(asked).toMatchObject({ reason: 'policy', tool: 'refund', arguments: { order: 7 } });
      await world.dies(() => world.server.post(`${path}/approvals/${asked!.id}`, { decision: 'approve' }));
      const unknown = await waitFor('it to ask again', async () => {
        const { approvals, status } = await world.server.get<ExecutionDetail>(path);
        return status === 'waiting_approval' && approvals.find(({ reason }) => reason === 'unknown');
      });
      expect(unknown).toMatchObject({ tool: 'refund', arguments: { order: 7 } });
      expect(await world.recorded(executionId)).toContain('agent.tool_unknown');
      expect(tools.effects).toHaveLength(effects);
      const vote = { decision: 'approve', result: 'it was refunded' };
      await world.server.post(`${path}/approvals/${unknown.id}`, vote);
      expect(await world.untilStatus(id, executionId, 'completed')).toMatchObject({ output: 'done' });
      expect(model.bodies.at(-1)!.messages!.at(-1)).toMatchObject({ role: 'tool', content: 'it was refunded' });
      expect([...model.problems, ...tools.problems]).toEqual([]);
      expect(tools.effects).toHaveLength(effects);
    }),
  );

  // The first call sends the message, the second asks for the task.
  it.concurrent.each(['agents.before-call', 'agents.after-call', 'agents.after-call:2'])(
    'at %s leaves an A2A agent with one task',
    async (point) =>
      World.run(point, async (world) => {
        const name = `a2a-${++made}`;
        const double = new A2aDouble(['WORKING', 'WORKING', 'COMPLETED'], `${network.url}/${name}/a2a/v1`);
        doubles.set(name, {
          problems: double.problems,
          answer: ({ path, ...request }) =>
            double.answer({ ...request, path: path.startsWith('/a2a') ? `/${name}${path}` : path }),
        });
        const url = `${network.url}/${name}/.well-known/agent-card.json`;
        const id = await world.agent({ runtime: 'a2a', config: { url } });
        const executionId = await world.diesDuring(id);
        const done = await world.untilStatus(id, executionId, 'completed');
        expect(done).toMatchObject({ output: { priority: 'high' } });
        expect(double.problems).toEqual([]);
        expect(double.tasks.size).toBe(1);
        expect(count(await world.recorded(executionId), 'agent.finished')).toBe(1);
      }),
  );

  it.concurrent.each(['agents.before-result', 'agents.after-result'])(
    'at %s keeps the result that an agent delivers later, once',
    async (point) =>
      World.run(point, async (world) => {
        const name = `later-${++made}`;
        const calls: Record<string, string>[] = [];
        doubles.set(name, {
          problems: [],
          answer({ body }) {
            calls.push(JSON.parse(body) as Record<string, string>);
            return { status: 202, body: '' };
          },
        });
        const id = await world.agent({ runtime: 'http', config: { url: `${network.url}/${name}/run` } });
        const { id: executionId } = await world.request(id);
        const { callbackUrl, callbackToken } = await waitFor('the call', () => calls[0]);
        await waitFor('the answer to be recorded', async () =>
          (await world.recorded(executionId)).includes('agent.accepted'),
        );
        const deliver = () =>
          fetch(callbackUrl!, {
            method: 'POST',
            headers: { authorization: `Bearer ${callbackToken}`, 'content-type': 'application/json' },
            body: '{"status":"completed","output":{"n":1}}',
          });
        await world.dies(deliver);
        // The agent got no answer, and tries again.
        expect((await deliver()).status).toBe(point === 'agents.before-result' ? 200 : 409);
        expect(await world.untilStatus(id, executionId, 'completed')).toMatchObject({ output: { n: 1 } });
        expect(count(await world.recorded(executionId), 'agent.finished')).toBe(1);
      }),
  );

  it.concurrent.each(['agents.before-result', 'agents.after-result'])(
    'at %s gives the model the outcome of a built-in tool, once',
    async (point) =>
      World.run(point, async (world) => {
        const calls = [{ name: 'create_issue', args: { title: 'DB latency' } }];
        const { model, settings } = modelAgent(
          [{ calls }, { text: 'opened' }],
          [{ builtin: 'create_issue', policy: 'allow' }],
        );
        const id = await world.agent(settings);
        const executionId = await world.diesDuring(id);
        expect(await world.untilStatus(id, executionId, 'completed')).toMatchObject({ output: 'opened' });
        expect(model.problems).toEqual([]);
        const types = await world.recorded(executionId);
        expect([count(types, 'agent.tool_called'), count(types, 'agent.tool_answered')]).toEqual([1, 1]);
        expect(await world.server.list('/api/v1/issues')).toMatchObject([{ title: 'DB latency' }]);
      }),
  );

  it.concurrent.each([
    ['agents.before-close', false],
    ['agents.after-close', true],
  ])('at %s cancels the execution that a run no longer waits for, once (its time is over: %s)', async (point, isOver) =>
    World.run(point, async (world) => {
      const name = `idle-${++made}`;
      doubles.set(name, { problems: [], answer: () => ({ status: 202, body: '' }) });
      const id = await world.agent({ runtime: 'http', config: { url: `${network.url}/${name}/run` } });
      const more = isOver ? ', timeout: 20s, onError: continue' : '';
      const steps = `[{ uses: dispatch_agent, with: { agent: ${id} }${more} }, { wait: { for: 1h } }]`;
      const source = `name: ask\ntriggers: [{ type: manual }]\nsteps: ${steps}\n`;
      await world.server.call('PUT', '/api/v1/workflows/ask', { source });
      const run = await world.server.post<{ id: string }>('/api/v1/workflows/ask/runs', {});
      const [execution] = await waitFor('the execution to run', async () => {
        const running = await world.server.list<{ id: string }>(`/api/v1/agents/${id}/executions?status=running`);
        return running.length > 0 && running;
      });
      await world.dies(() => (isOver ? Promise.resolve() : world.server.post(`/api/v1/runs/${run.id}/cancel`, {})));
      await world.untilStatus(id, execution!.id, 'cancelled');
      expect(count(await world.recorded(execution!.id), 'agent.cancelled')).toBe(1);
    }),
  );
});
