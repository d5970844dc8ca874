import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { EgressOutcome } from '#libs/egress/src/egress.js';
import { causedBy, eventIdOf } from '#libs/events/src/envelope.js';
import { streams } from '#libs/events/src/streams.js';
import { newId, uuid7 } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { FakeEgress, json, ORG, toDoubles } from '../../testing/execution-world.js';
import { OpenAiDouble } from '../../testing/openai-double.js';
import { Running } from '../../testing/running.js';

let database: TestDatabase;
let store: MemoryEventStore;
const processes: Running[] = [];
beforeEach(async () => {
  database = await createTestDatabase();
  store = new MemoryEventStore();
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.stop()));
  await database.drop();
});
async function process(egress?: FakeEgress): Promise<Running> {
  const started = await Running.start({ databaseUrl: database.url, store, ...(egress && { egress }) });
  processes.push(started);
  return started;
}

/** An agent that answers when it is let, and says how many of its calls are under way. */
class HeldEgress extends FakeEgress {
  open = 0;
  most = 0;
  private readonly waiting: (() => void)[] = [];
  override answer = async (): Promise<EgressOutcome> => {
    this.most = Math.max(this.most, ++this.open);
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.open--;
    return json(200, { ok: true });
  };
  async letOneGo(): Promise<void> {
    const next = await waitFor('a call to be under way', () => this.waiting.shift());
    next();
  }
}

describe('executions', () => {
  it('of one agent run at most maxConcurrent at a time over all processes, in the order of their requests', async () => {
    const egress = new HeldEgress();
    const [one] = [await process(egress), await process(egress)];
    const agent = await one.agent({ maxConcurrent: 2 });
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) ids.push((await one.executions.request(one.caller, agent, { n })).id);
    await waitFor('two calls', () => egress.open === 2);
    const { data } = await one.executions.list(ORG, agent, { status: 'pending' });
    expect(data.map(({ id }) => id)).toEqual(ids.slice(2).reverse());
    for (let n = 0; n < 6; n++) await egress.letOneGo();
    for (const id of ids) await one.untilStatus(agent, id, 'completed');
    expect(egress.most).toBe(2);
    const order = egress.requests.map(({ body }) => (JSON.parse(body as string) as { input: { n: number } }).input.n);
    expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(Math.max(order[0]!, order[1]!)).toBe(1);
  });

  it('of one agent start at most rateLimit times a minute: others wait for their time', async () => {
    const one = await process();
    const agent = await one.agent({ rateLimit: 2 });
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push((await one.executions.request(one.caller, agent, { n })).id);
    await one.untilStatus(agent, ids[0]!, 'completed');
    await one.untilStatus(agent, ids[1]!, 'completed');
    expect(await one.executions.view(ORG, agent, ids[2]!)).toMatchObject({ status: 'pending' });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ key: string; minute: boolean }>(
      `select w.key, w.due_at = e.first_due and e.first_due >= e.created_at + interval '30 seconds' as minute
         from views.work w join views.agent_executions e on e.id = w.key`,
    );
    await client.end();
    expect(rows).toEqual([{ key: ids[2], minute: true }]);
    expect(one.egress.requests).toHaveLength(2);
  });

  it('show what happened step by step, and can be filtered', async () => {
    const one = await process();
    one.egress.answer = (_, nth) =>
      nth === 1 ? json(500, {}, { 'retry-after': '0' }) : json(200, { priority: 'high' });
    const agent = await one.agent();
    const { id } = await one.executions.request(one.caller, agent, { title: 'DB latency' });
    const shown = await one.untilStatus(agent, id, 'completed');
    expect(shown).toMatchObject({
      trigger: 'manual',
      runtime: 'http',
      input: { title: 'DB latency' },
      output: { priority: 'high' },
      error: null,
      eventId: null,
    });
    expect(shown.steps).toMatchObject([
      { number: 1, kind: 'call', name: 'http', status: 'failed', error: { code: 'agent.status' } },
      { number: 2, kind: 'call', name: 'http', status: 'completed' },
    ]);
    expect(shown.durationMs).toBeGreaterThanOrEqual(0);
    expect((await one.executions.list(ORG, agent, { trigger: 'manual', status: 'completed' })).data).toHaveLength(1);
    expect((await one.executions.list(ORG, agent, { trigger: 'webhook' })).data).toEqual([]);
  });

  it('that are cancelled stop the call in flight, and free their place for the next', async () => {
    const egress = new HeldEgress();
    const one = await process(egress);
    const aborted: string[] = [];
    const hold = egress.answer;
    egress.answer = async (request?: { signal: AbortSignal }) => {
      const stopped = new Promise<never>((_, reject) =>
        request!.signal.addEventListener('abort', () => {
          aborted.push('aborted');
          reject(request!.signal.reason as Error);
        }),
      );
      return Promise.race([hold(), stopped]);
    };
    const agent = await one.agent({ maxConcurrent: 1 });
    const first = await one.executions.request(one.caller, agent, 1);
    const second = await one.executions.request(one.caller, agent, 2);
    await waitFor('the call', () => egress.open === 1);
    expect(await one.executions.cancel(one.caller, agent, first.id)).toMatchObject({ status: 'cancelled' });
    await waitFor('the call to be aborted', () => aborted.length === 1);
    await waitFor('the next call', () => egress.requests.length === 2);
    // One that has not begun never does.
    const third = await one.executions.request(one.caller, agent, 3);
    expect(await one.executions.cancel(one.caller, agent, third.id)).toMatchObject({ status: 'cancelled', steps: [] });
    await egress.letOneGo();
    await egress.letOneGo();
    await one.untilStatus(agent, second.id, 'completed');
    expect(await one.executions.cancel(one.caller, agent, second.id)).toMatchObject({ status: 'completed' });
    expect(egress.requests).toHaveLength(2);
  });

  it('are pending while there is no agent of the name, and belong to the one that gets it', async () => {
    const one = await process();
    const id = await one.requestedByRun('newcomer', 'run_1');
    await waitFor(
      'the execution',
      async () => (await one.executions.list(ORG, 'newcomer', {}).catch(() => ({ data: [] }))).data.length === 1,
    );
    const request = id.replace('exec_', 'evt_');
    const detail = expect.stringContaining('There is no agent "newcomer".');
    expect(await one.missing.waitingRequests(ORG, [request])).toEqual([
      { requestId: request, waiting: 'agent.unknown', detail },
    ]);
    expect(await one.missing.waitingRequests('org_2', [request])).toEqual([]);
    const agent = await one.agent({ name: 'newcomer' });
    await waitFor('the agent to be known', async () => !(await one.missing.waitingRequests(ORG, [request])).length);
    expect(await one.untilStatus(agent, id, 'completed')).toMatchObject({ agentId: agent, requestedBy: 'run_1' });
    const stranger = await one.append(
      'agent.requested',
      { requestedBy: { kind: 'manual', by: 'x' }, eventId: '', agent, input: null },
      {},
    );
    await expect(one.executions.view('org_2', agent, stranger.id)).rejects.toMatchObject({
      code: 'agent.no_execution',
    });
  });

  it('of an agent that was removed meanwhile fail, and say so', async () => {
    const egress = new HeldEgress();
    const one = await process(egress);
    const agent = await one.agent({ maxConcurrent: 1 });
    const first = await one.executions.request(one.caller, agent, 1);
    const second = await one.executions.request(one.caller, agent, 2);
    await waitFor('the call', () => egress.open === 1);
    await one.append('agent.removed', { agentId: agent }, { stream: streams.agent(agent) });
    await egress.letOneGo();
    await one.untilStatus(agent, first.id, 'completed');
    expect(await one.untilStatus(agent, second.id, 'failed')).toMatchObject({ error: { code: 'agent.removed' } });
  });

  it('come page by page, the newest first', async () => {
    const one = await process();
    const agent = await one.agent();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift((await one.executions.request(one.caller, agent, n)).id);
    const first = await one.executions.list(ORG, agent, { limit: '3' });
    const second = await one.executions.list(ORG, agent, { limit: '3', cursor: first.nextCursor! });
    expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
  });
});

describe('an execution and a run', () => {
  it('the run that a workflow agent requests is its result', async () => {
    const one = await process();
    const agent = await one.agent({ runtime: 'workflow', config: { workflow: 'triage' } });
    const { id } = await one.executions.request(one.caller, agent, { n: 1 });
    const [requested] = await waitFor('the request', async () => {
      const found = await one.logged('workflow.requested');
      return found.length > 0 && found;
    });
    expect(requested!.data).toMatchObject({ workflow: 'triage', inputs: { n: 1 }, isChild: true });
    const runId = newId('run');
    const outcome = { runId, workflowId: 'wf_1', workflow: 'triage', outputs: { priority: 'low' } };
    await one.append('workflow.completed', outcome as never, {
      stream: streams.run(runId),
      cause: causedBy(requested!, 'wf_1'),
    });
    expect(await one.untilStatus(agent, id, 'completed')).toMatchObject({
      output: { priority: 'low' },
      steps: [{ name: 'workflow', status: 'completed' }],
    });
  });

  it('one that fails, or that cannot be started, fails it', async () => {
    const one = await process();
    const agent = await one.agent({ runtime: 'workflow', config: { workflow: 'nowhere' } });
    const { id } = await one.executions.request(one.caller, agent, null);
    const [requested] = await waitFor('the request', async () => {
      const found = await one.logged('workflow.requested');
      return found.length > 0 && found;
    });
    const data = {
      action: 'dispatch_workflow',
      reason: 'unknown-workflow',
      detail: 'There is none.',
      eventId: 'evt_1',
    };
    await one.append('action.refused', data, { cause: causedBy(requested!) });
    expect(await one.untilStatus(agent, id, 'failed')).toMatchObject({
      error: { code: 'agent.run_refused', message: 'There is none.' },
    });
    const odd = await one.executions.request(one.caller, agent, 'no object');
    expect(await one.untilStatus(agent, odd.id, 'failed')).toMatchObject({ error: { code: 'agent.invalid_input' } });
  });

  it('is cancelled when the run that waits for it ends first, and left alone when it is detached', async () => {
    const one = await process();
    one.egress.answer = () => json(202, {});
    const agent = await one.agent();
    const runId = newId('run');
    const [bound, free] = [await one.requestedByRun(agent, runId), await one.requestedByRun(agent, runId, false)];
    for (const id of [bound, free]) await one.untilStatus(agent, id, 'running');
    await one.append('run.cancelled', { runId, by: 'token/tok_1' }, { stream: streams.run(runId) });
    await one.untilStatus(agent, bound, 'cancelled');
    const [cancelled] = await one.logged('agent.cancelled');
    expect(cancelled!.data).toEqual({ executionId: bound, by: `run/${runId}` });
    expect(await one.executions.view(ORG, agent, free)).toMatchObject({ status: 'running' });
  });
});

describe('an execution that a model directs', () => {
  it('waits for a person without taking a place, and for what it requested of others', async () => {
    const one = await process();
    const model = new OpenAiDouble([
      { calls: [{ name: 'create_issue', args: { title: 'DB latency' } }] },
      { text: 'issue opened' },
      { text: 'nothing to do' },
    ]);
    one.egress.answer = toDoubles({ 'model.example.com': model });
    const agent = await one.agent({
      runtime: 'openai',
      maxConcurrent: 1,
      config: {
        baseUrl: 'https://model.example.com/v1',
        model: 'small-1',
        prompt: 'Work on it.',
        headers: { Authorization: 'Bearer value of OPENAI_KEY' },
        tools: [{ builtin: 'create_issue' }],
      },
    });
    const { id } = await one.executions.request(one.caller, agent, {});
    const waiting = await one.untilStatus(agent, id, 'waiting_approval');
    expect(waiting.approvals).toMatchObject([
      { reason: 'policy', tool: 'create_issue', arguments: { title: 'DB latency' } },
    ]);
    expect(waiting.steps.at(-1)).toMatchObject({ kind: 'tool', status: 'waiting_approval' });
    const decided = await one.executions.decide(one.caller, agent, id, waiting.approvals[0]!.id, {
      decision: 'approve',
    });
    expect(decided.approvals).toEqual([]);
    const [requested] = await waitFor('the request', async () => {
      const found = await one.logged('issue.requested');
      return found.length > 0 && found;
    });
    // Its place is taken again: another one waits.
    const second = await one.executions.request(one.caller, agent, {});
    expect(second.status).toBe('pending');
    const data = { issueId: 'iss_1', issue: { title: 'DB latency' } };
    await one.append('issue.created', data, { cause: causedBy(requested!) });
    const done = await one.untilStatus(agent, id, 'completed');
    expect(done).toMatchObject({ output: 'issue opened', usage: { inputTokens: 200, outputTokens: 40 } });
    expect(done.steps).toMatchObject([
      { kind: 'model', status: 'completed', usage: { inputTokens: 100 } },
      { kind: 'tool', name: 'create_issue', status: 'completed', output: { issueId: 'iss_1', created: true } },
      { kind: 'model', status: 'completed' },
    ]);
    await one.untilStatus(agent, second.id, 'completed');
    expect(model.problems).toEqual([]);
  });

  it('reads what became of an issue in a tracker outside, once', async () => {
    const one = await process();
    const calls = [{ name: 'create_issue', args: { title: 'DB latency', tracker: 'code' } }];
    const model = new OpenAiDouble([{ calls }, { text: 'issue opened' }]);
    const answer = toDoubles({ 'model.example.com': model });
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    one.egress.answer = async (request, nth) => {
      if (nth > 1) await held;
      return answer(request, nth);
    };
    const agent = await one.agent({
      runtime: 'openai',
      config: {
        baseUrl: 'https://model.example.com/v1',
        model: 'small-1',
        prompt: 'Work on it.',
        headers: { Authorization: 'Bearer value of OPENAI_KEY' },
        tools: [{ builtin: 'create_issue', policy: 'allow' }],
      },
    });
    const { id } = await one.executions.request(one.caller, agent, {});
    const [requested] = await waitFor('the request', async () => {
      const found = await one.logged('issue.requested');
      return found.length > 0 && found;
    });
    const outcome = {
      requestId: eventIdOf(requested!.id),
      request: { stream: requested!.stream, revision: String(requested!.revision) },
      requestedBy: requested!.data.requestedBy,
      eventId: '',
      attempt: 1,
      provider: 'github',
      issue: { id: '17', url: 'https://github.com/acme/app/issues/17' },
      latencyMs: 1,
    };
    // Seen again, as after a crash between the append and the checkpoint, it is no second answer.
    for (const stream of [streams.tracked(requested!.id), streams.tracked(uuid7())]) {
      const { position } = await one.append('tracker.issue_opened', outcome, { stream, cause: causedBy(requested!) });
      await one.followed(position);
    }
    goOn();
    const done = await one.untilStatus(agent, id, 'completed');
    expect(done.steps[1]).toMatchObject({
      name: 'create_issue',
      output: { issueId: '17', created: true, url: 'https://github.com/acme/app/issues/17' },
    });
    expect(await one.logged('agent.tool_answered')).toHaveLength(1);
    expect(model.problems).toEqual([]);
  });
});
