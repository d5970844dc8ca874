import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { answeredAtLast } from '../../support/answered.js';
import { ADMIN_TOKEN, freePort, TestServer } from '../../support/server.js';

interface Agent {
  readonly id: string;
  readonly webhookUrl: string | null;
  readonly secret?: string;
}
interface Execution {
  readonly id: string;
  readonly agentId: string | null;
  readonly trigger: string;
  readonly status: string;
  readonly eventId: string;
  readonly requestedBy: string | null;
}
interface Accepted {
  readonly success: boolean;
  readonly data: { readonly executionId: string; readonly status: string };
}

let folder: string;
/** An agent behind a URL: answers 202 and nothing later, or at `/echo` with its input. */
let double: Server;
let calls: { path: string; body: Record<string, unknown> }[];
let agentUrl: string;
let server: TestServer;
let port: number;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-agents-'));
  port = await freePort();
  calls = [];
  double = createServer((request, response) => {
    void text(request).then((sent) => {
      const body = JSON.parse(sent) as Record<string, unknown>;
      calls.push({ path: request.url!, body });
      response.writeHead(request.url === '/echo' ? 200 : 202, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ echo: body['input'] }));
    });
  }).listen(0, '127.0.0.1');
  await once(double, 'listening');
  agentUrl = `http://127.0.0.1:${(double.address() as AddressInfo).port}`;
  server = await TestServer.start({ dataDir: join(folder, 'data'), port });
});
afterAll(async () => {
  await server.stop();
  double.closeAllConnections();
  double.close();
  await rm(folder, { recursive: true, force: true });
});

let made = 0;
const agent = (more: object = {}) =>
  server.post<Agent>('/api/v1/agents', {
    name: `triage ${++made}`,
    runtime: 'http',
    config: { url: `${agentUrl}/later` },
    ...more,
  });
const ask = (id: string, body: string, headers: Record<string, string> = {}, prefix = '') =>
  fetch(`${server.url}${prefix}/agents/${id}/webhook`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
const executions = (id: string, query = '') => server.list<Execution>(`/api/v1/agents/${id}/executions${query}`);
const until = (id: string, count: number, query = '') =>
  waitFor(`${count} executions`, async () => {
    const all = await executions(id, query).catch(() => []);
    return all.length >= count && all;
  });

const ended = (agentId: string, id: string) =>
  waitFor('the execution to end', async () => {
    const shown = await server.get<Execution & { finishedAt: string | null }>(
      `/api/v1/agents/${agentId}/executions/${id}`,
    );
    return shown.finishedAt !== null && shown;
  });

describe('the webhook of an agent', () => {
  it('is there from the moment it is enabled, answers at once, and its execution can be looked up', async () => {
    const { id, webhookUrl } = await agent();
    expect(webhookUrl).toBeNull();
    expect((await ask(id, '{}')).status).toBe(404);
    const enabled = await server.call<Agent>('PATCH', `/agents/${id}`, { webhookEnabled: true });
    expect(enabled.webhookUrl).toBe(`${server.url}/agents/${id}/webhook`);
    const answer = await ask(id, '{"message":"Process this"}');
    expect(answer.status).toBe(202);
    const { success, data } = (await answer.json()) as Accepted;
    expect([success, data.status]).toEqual([true, 'running']);
    // Also by whoever asks before anything was done about it.
    expect(await server.get(`/agents/${id}/executions/${data.executionId}`)).toMatchObject({ id: data.executionId });
    const [execution] = await until(id, 1, '?trigger=webhook');
    expect(execution).toMatchObject({ id: data.executionId, agentId: id, trigger: 'webhook' });
    await waitFor('the agent to be called', () => calls.find(({ body }) => body['executionId'] === data.executionId));
    expect(calls.at(-1)!.body).toMatchObject({ input: { message: 'Process this' }, trigger: 'webhook' });
    const event = await server.get<{ data: { payload: unknown }; subject: string }>(
      `/api/v1/events/${execution!.eventId}`,
    );
    expect(event).toMatchObject({ subject: `agent/${id}`, data: { payload: { message: 'Process this' } } });
    expect(await executions(id, '?trigger=rule')).toEqual([]);
    await server.call('PATCH', `/api/v1/agents/${id}`, { webhookEnabled: false });
    expect((await ask(id, '{}')).status).toBe(404);
  });

  it('asks for a bearer token or a signature, with a secret that is shown once', async () => {
    const bearer = await agent({ webhookEnabled: true, auth: 'bearer' });
    expect(bearer.secret).toMatch(/^mrs_/);
    expect(await server.get(`/api/v1/agents/${bearer.id}`)).not.toHaveProperty('secret');
    expect((await ask(bearer.id, '{}')).status).toBe(401);
    expect((await ask(bearer.id, '{}', { authorization: 'Bearer wrong-token' })).status).toBe(401);
    expect((await ask(bearer.id, '{}', { authorization: `Bearer ${bearer.secret}` })).status).toBe(202);

    const hmac = await agent({ webhookEnabled: true, auth: 'hmac', secret: 'hmac-secret-1' });
    const sign = (body: string) => `sha256=${createHmac('sha256', 'hmac-secret-1').update(body).digest('hex')}`;
    const headers = { 'x-webhook-signature': sign('{"a":1}') };
    expect((await ask(hmac.id, '{"a":1}', headers, '/api/v1')).status).toBe(202);
    const refused = await ask(hmac.id, '{"a":2}', headers);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ success: false, error: { code: 'inbound.signature_mismatch' } });
  });

  it('accepts an earlier secret in its time of grace', async () => {
    const { id } = await agent({ webhookEnabled: true, auth: 'bearer', secret: 'earlier-secret' });
    const statusOf = async (secret: string) => (await ask(id, '{}', { authorization: `Bearer ${secret}` })).status;
    await server.call('PATCH', `/agents/${id}`, { secret: 'newer-secret', graceSeconds: 3_600 });
    expect(await Promise.all(['earlier-secret', 'newer-secret', 'no-secret'].map(statusOf))).toEqual([202, 202, 401]);
    await server.call('PATCH', `/agents/${id}`, { secret: 'newest-secret' });
    expect(await Promise.all(['earlier-secret', 'newer-secret', 'newest-secret'].map(statusOf))).toEqual([
      401, 401, 202,
    ]);
  });

  it('is asked once for each line of NDJSON, and the answer names them all', async () => {
    const { id } = await agent({ webhookEnabled: true });
    const answer = await ask(id, '{"a":1}\n{"a":2}', { 'content-type': 'application/x-ndjson' });
    const { data } = (await answer.json()) as { data: { executionId: string; executionIds: string[] } };
    expect(data.executionIds).toHaveLength(2);
    expect(data.executionId).toBe(data.executionIds[0]);
    const all = await until(id, 2);
    expect(all.map((one) => one.id).sort()).toEqual([...data.executionIds].sort());
  });

  it('answers one and the same where there is none, whatever the address looks like', async () => {
    const { id } = await agent();
    const answers = await Promise.all(
      [id, 'agt_00000000000000000000000000', 'nonsense', '%zz'].map(async (one) => {
        const answer = await ask(one, '{}');
        return [answer.status, await answer.text()];
      }),
    );
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(answers[0]![0]).toBe(404);
  });

  it('is asked once where the sender repeats itself, which does not count, and no more often than its rate', async () => {
    const { id } = await agent({ webhookEnabled: true, rateLimit: 2 });
    const key = { 'idempotency-key': 'once' };
    const [first, second] = [await ask(id, '{}', key), await ask(id, '{}', key)];
    expect(await second.json()).toEqual(await first.json());
    expect((await ask(id, '{}')).status).toBe(202);
    const over = await ask(id, '{}');
    expect(over.status).toBe(429);
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0);
    await until(id, 2);
    expect(await executions(id)).toHaveLength(2);
  });
});

describe('what an agent was asked to do', () => {
  it('by a rule is done, also by the name of an agent that comes later', async () => {
    const rule = await server.post<{ id: string }>('/api/v1/rules', {
      name: 'ask the new one',
      eventType: 'message.received',
      actions: [{ type: 'dispatch_agent', with: { agent: 'newcomer', input: { text: '${{ data.message.text }}' } } }],
    });
    const event = await server.post<{ id: string }>('/api/v1/events', {
      type: 'message.received',
      subject: 'channel/support',
      data: { channel: { id: 'support' }, message: { text: 'hello' } },
    });
    const [waiting] = await until('newcomer', 1);
    expect(waiting).toMatchObject({ trigger: 'rule', status: 'pending', agentId: null, requestedBy: rule.id });
    expect(waiting!.eventId).toBe(event.id);
    expect(await server.list('/api/v1/actions?status=pending')).toMatchObject([{ id: waiting!.id }]);
    const { id } = await agent({ name: 'newcomer', config: { url: `${agentUrl}/echo` } });
    const done = await ended(id, waiting!.id);
    expect(done).toMatchObject({ status: 'completed', output: { echo: { text: 'hello' } } });
    await waitFor('it to be pending no more', async () => (await server.list('/api/v1/actions')).length === 0);
    const path = `/api/v1/agents/${id}/executions/${waiting!.id}`;
    expect(await server.post<Execution>(`${path}/cancel`, {})).toMatchObject({ status: 'completed' });
    expect(await executions(id, '?status=pending')).toEqual([]);
  });

  it('by a step of a workflow is the step, by a schedule too, and ends with its run', async () => {
    const { id } = await agent({ name: 'echo', config: { url: `${agentUrl}/echo` } });
    const later = await agent({ name: 'later' });
    const workflow = (name: string, trigger: string, called: string) =>
      server.call('PUT', `/api/v1/workflows/${name}`, {
        source: `name: ${name}\ntriggers: [${trigger}]\nsteps:\n  - { id: ask, uses: dispatch_agent, with: { agent: ${called}, input: { n: 1 } } }\noutputs: { said: "\${{ steps.ask.output.output.echo.n }}" }\n`,
      });
    await workflow('asks', '{ type: manual }', 'echo');
    const run = await server.post<{ id: string }>('/api/v1/workflows/asks/runs', {});
    const completed = await waitFor('the run', async () => {
      const view = await server.get<{ status: string; outputs?: object }>(`/api/v1/runs/${run.id}`);
      return view.status === 'completed' && view;
    });
    expect(completed.outputs).toEqual({ said: 1 });
    expect(await until(id, 1, '?trigger=workflow')).toMatchObject([{ requestedBy: run.id, status: 'completed' }]);
    await workflow('asks-at-times', '{ type: schedule, every: 1s }', 'later');
    const [scheduled] = await until(later.id, 1, '?trigger=schedule');
    await server.call('DELETE', '/api/v1/workflows/asks-at-times');
    await server.post(`/api/v1/runs/${scheduled!.requestedBy}/cancel`, {});
    expect(await ended(later.id, scheduled!.id)).toMatchObject({ status: 'cancelled' });
  });

  it('by hand is done by a run of a workflow, where that is its runtime, and cancelled with it', async () => {
    const source = (name: string, steps: string) => ({
      source: `name: ${name}\ntriggers: [{ type: manual, inputs: { n: { type: number } } }]\nsteps: ${steps}\noutputs: { twice: "\${{ inputs.n }}" }\n`,
    });
    await server.call('PUT', '/api/v1/workflows/quick', source('quick', '[{ uses: log, with: { message: hello } }]'));
    await server.call('PUT', '/api/v1/workflows/nap', source('nap', '[{ wait: { for: 1h } }]'));
    const quick = await agent({ runtime: 'workflow', config: { workflow: 'quick' } });
    const { id } = await server.post<Execution>(`/api/v1/agents/${quick.id}/executions`, { input: { n: 7 } });
    expect(await ended(quick.id, id)).toMatchObject({ status: 'completed', output: { twice: 7 } });
    const nap = await agent({ runtime: 'workflow', config: { workflow: 'nap' } });
    const long = await server.post<Execution>(`/api/v1/agents/${nap.id}/executions`, { input: { n: 7 } });
    const runs = () => server.list<{ status: string }>('/api/v1/runs?workflow=nap');
    await waitFor('the run', async () => (await runs())[0]?.status === 'waiting');
    await server.post(`/api/v1/agents/${nap.id}/executions/${long.id}/cancel`, {});
    await waitFor('the run to be cancelled', async () => (await runs())[0]!.status === 'cancelled');
  });

  it('is refused with 429 at the webhook while as many run as may', async () => {
    const { id } = await agent({ webhookEnabled: true, maxConcurrent: 2 });
    const answers = await Promise.all([1, 2, 3, 4].map((n) => ask(id, `{"n":${n}}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 202, 429, 429]);
    const refused = answers.find(({ status }) => status === 429)!;
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ success: false, error: { code: 'agent.too_many_executions' } });
    const [first] = await until(id, 2);
    await server.post(`/api/v1/agents/${id}/executions/${first!.id}/cancel`, {});
    await waitFor('a place to be free', async () => (await ask(id, '{}')).status === 202);
    // By hand it waits for its turn.
    const queued = await server.post<Execution>(`/api/v1/agents/${id}/executions`, { input: 1 });
    expect(queued.status).toBe('pending');
  });

  it('is ended once by the result that the agent delivers later', async () => {
    const { id } = await agent();
    const { id: executionId } = await server.post<Execution>(`/api/v1/agents/${id}/executions`, {});
    const { body } = await waitFor('the call', () => calls.find((one) => one.body['executionId'] === executionId));
    const deliver = (token: string, result: object) =>
      fetch(body['callbackUrl'] as string, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(result),
      });
    const token = body['callbackToken'] as string;
    expect((await deliver('mrc_guess', { status: 'completed' })).status).toBe(401);
    expect((await deliver(token, { state: 'done' })).status).toBe(422);
    expect((await deliver(token, { status: 'completed', output: { n: 1 } })).status).toBe(200);
    expect((await deliver(token, { status: 'failed' })).status).toBe(409);
    expect(await ended(id, executionId)).toMatchObject({ status: 'completed', output: { n: 1 } });
  });

  it.each(['agents.before-request', 'agents.after-request'])(
    'is asked once although the process dies at %s',
    async (point) => {
      const { id } = await agent({ webhookEnabled: true });
      await server.stop();
      const dataDir = join(folder, 'data');
      server = await TestServer.start({ dataDir, port, env: { MILLRACE_CRASH_AT: point } });
      const answer = await ask(id, '{}', { 'idempotency-key': point }).catch(() => undefined);
      await waitFor(`the server to die at ${point}`, () => server.exited);
      server = await TestServer.start({ dataDir, port });
      const again = (await (await ask(id, '{}', { 'idempotency-key': point })).json()) as Accepted;
      if (answer?.ok) expect(((await answer.json()) as Accepted).data).toEqual(again.data);
      const all = await until(id, 1);
      expect(all.map((one) => one.id)).toEqual([again.data.executionId]);
    },
  );
});

describe('an execution whose process is killed', () => {
  it.each([
    'agents.before-start',
    'agents.after-start',
    'agents.before-call',
    'agents.after-call',
    'agents.after-outcome',
  ])('at %s is finished once by the next one', async (point) => {
    const { id } = await agent({ config: { url: `${agentUrl}/echo` } });
    await server.stop();
    const dataDir = join(folder, 'data');
    server = await TestServer.start({ dataDir, port, env: { MILLRACE_CRASH_AT: point } });
    const headers = {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      'content-type': 'application/json',
      'idempotency-key': point,
    };
    const start = () =>
      fetch(`${server.url}/api/v1/agents/${id}/executions`, { method: 'POST', headers, body: '{"input":1}' });
    await start().catch(() => undefined);
    await waitFor(`the server to die at ${point}`, () => server.exited);
    server = await TestServer.start({ dataDir, port });
    const { id: executionId } = await answeredAtLast<Execution>(start);
    expect(await ended(id, executionId)).toMatchObject({ status: 'completed', output: { echo: 1 } });
    expect(await executions(id)).toHaveLength(1);
    const called = calls.filter(({ body }) => body['executionId'] === executionId);
    expect(called).toHaveLength(point === 'agents.after-call' ? 2 : 1);
  });
});

describe('an agent', () => {
  it('is checked when it is saved, with a pointer for everything that is wrong', async () => {
    const wrong = { name: 'x', runtime: 'http', config: { uri: 'x' } };
    await expect(server.post('/api/v1/agents', wrong)).rejects.toThrow(
      /agent[.]invalid.*config[/]uri.*Did you mean .{1,2}url/,
    );
    await expect(agent({ runtime: 'magic' })).rejects.toThrow(/runtime.*Must be one of/);
  });

  it('has a name of its own, which is free again when it is removed', async () => {
    const name = 'the only one';
    const first = await agent({ name });
    await expect(agent({ name })).rejects.toThrow(/409.*agent[.]name_taken/);
    const other = await agent();
    await expect(server.call('PATCH', `/agents/${other.id}`, { name })).rejects.toThrow(/agent[.]name_taken/);
    expect(await server.call('PATCH', `/agents/${first.id}`, { name, rateLimit: 7 })).toMatchObject({ rateLimit: 7 });
    await server.call('DELETE', `/agents/${first.id}`);
    expect(await server.call('PATCH', `/agents/${other.id}`, { name })).toMatchObject({ name });
  });

  it('that is set up twice by one request is the same, with the secret that it has', async () => {
    const headers = {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      'content-type': 'application/json',
      'idempotency-key': 'agent-once',
    };
    const body = JSON.stringify({
      name: 'once',
      runtime: 'http',
      config: { url: 'https://agents.example.com/once' },
      webhookEnabled: true,
      auth: 'bearer',
    });
    const create = () => fetch(`${server.url}/agents`, { method: 'POST', headers, body });
    const made = (await (await create()).json()) as Agent;
    expect((await ask(made.id, '{}', { authorization: `Bearer ${made.secret}` })).status).toBe(202);
    expect(((await (await create()).json()) as Agent).id).toBe(made.id);
  });

  it('that is removed receives nothing more, and its executions stay', async () => {
    const { id } = await agent({ webhookEnabled: true });
    await ask(id, '{}');
    await until(id, 1);
    await server.call('DELETE', `/api/v1/agents/${id}`);
    expect((await ask(id, '{}')).status).toBe(404);
    await expect(server.get(`/api/v1/agents/${id}`)).rejects.toThrow(/agent[.]not_found/);
    expect(await executions(id)).toHaveLength(1);
  });
});
