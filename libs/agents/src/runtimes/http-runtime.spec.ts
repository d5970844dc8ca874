import { beforeEach, describe, expect, it } from '@jest/globals';

import type { EgressOutcome } from '#libs/egress/src/egress.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { verifyWebhook } from '#libs/plugin-sdk/src/verify-webhook.js';

import { AGENT, ExecutionWorld, json, ORG } from '../../testing/execution-world.js';
import { receiveResult } from '../execution/receive-result.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const HTTP = { runtime: 'http' as const, config: { url: 'https://agents.example.com/triage' } };

let world: ExecutionWorld;
beforeEach(() => {
  world = new ExecutionWorld();
});

const failing = (failureClass: 'dns' | 'timeout' | 'redirect' | 'refused_address'): EgressOutcome => ({
  kind: 'failed',
  failureClass,
  detail: 'detail',
  latencyMs: 5,
});
const deliver = (executionId: string, token: string, status: 'completed' | 'failed' = 'completed', agentId = AGENT) =>
  receiveResult(world, { agentId, executionId, token }, () => ({ status, output: { late: true } }));

describe('an http agent', () => {
  it('is sent the input and where to deliver a result later, signed as deliveries are', async () => {
    await world.agent({ ...HTTP, config: { ...HTTP.config, headers: { 'X-Team': 'ops' } } }, SECRET);
    const work = await world.request({ title: 'DB latency' });
    world.egress.answer = () => json(200, { priority: 'high' });
    await world.run(work);
    const [request] = world.egress.requests;
    const body = JSON.parse(request!.body as string) as Record<string, unknown>;
    expect(body).toEqual({
      executionId: work.key,
      attempt: 1,
      agentId: AGENT,
      agent: 'triage',
      trigger: 'rule',
      eventId: 'evt_1',
      input: { title: 'DB latency' },
      callbackUrl: `https://mill.example.com/agents/${AGENT}/executions/${work.key}/result`,
      callbackToken: await world.tokens.of(ORG, work.key),
    });
    const headers = Object.fromEntries(Object.entries(request!.headers).map(([k, v]) => [k.toLowerCase(), v]));
    expect(headers).toMatchObject({ 'x-team': 'ops', 'x-millrace-execution': work.key, 'webhook-id': work.key });
    expect(() => verifyWebhook(request!.body as string, headers, SECRET, { now: world.clock.now() })).not.toThrow();
    expect(await world.types(work)).toEqual(['agent.started', 'agent.attempt_started', 'agent.finished']);
    expect((await world.last(work)).data).toMatchObject({
      output: { priority: 'high' },
      agentId: AGENT,
      trigger: 'rule',
    });
  });

  it.each<[string, EgressOutcome, object]>([
    ['a body that is not JSON', json(200, 'hello'), { error: { code: 'agent.invalid_output' }, status: 'failed' }],
    ['400', json(400, {}), { error: { code: 'agent.status' }, status: 'failed' }],
    ['a redirect', failing('redirect'), { error: { code: 'agent.redirect' } }],
    ['no answer in time', failing('timeout'), { error: { code: 'agent.timeout' }, status: 'timeout' }],
  ])('fails at once on %s', async (_, answer, wanted) => {
    await world.agent(HTTP);
    const work = await world.request(null);
    world.egress.answer = () => answer;
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.failed', data: wanted });
    expect(world.egress.requests).toHaveLength(1);
  });

  it.each([json(408, {}), json(425, {}), json(429, {}), json(500, {}), json(503, {}), failing('dns')])(
    'is called again after a failure that passes, with the same execution id (%#)',
    async (answer) => {
      await world.agent(HTTP);
      const work = await world.request(null);
      world.egress.answer = (_, nth) => (nth < 3 ? answer : json(200, ''));
      for (let n = 0; n < 3; n++) {
        await world.run(work);
        // Before its time nothing happens.
        await world.run(work);
        world.clock.advance(60_000);
      }
      expect(await world.last(work)).toMatchObject({ type: 'agent.finished', data: { output: null } });
      const bodies = world.egress.requests.map(({ body }) => JSON.parse(body as string) as Record<string, unknown>);
      expect(bodies.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      expect(new Set(bodies.map(({ executionId }) => executionId))).toEqual(new Set([work.key]));
    },
  );

  it('is called at most maxAttempts times, and not sooner than it asks for', async () => {
    await world.agent({ ...HTTP, config: { ...HTTP.config, maxAttempts: 2 } });
    const work = await world.request(null);
    world.egress.answer = () => json(503, {}, { 'retry-after': '90' });
    await world.run(work);
    expect((await world.last(work)).data).toMatchObject({ retryAt: '2026-11-20T13:15:45.123Z' });
    world.clock.advance(90_000);
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.failed', data: { error: { code: 'agent.status' } } });
  });

  it('is not called again after its time limit', async () => {
    await world.agent({ ...HTTP, config: { ...HTTP.config, timeout: '1m' } });
    const work = await world.request(null);
    world.egress.answer = () => json(503, {}, { 'retry-after': '60' });
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.failed', data: { status: 'failed' } });
  });

  it('wherever its process dies, ends once, and is called again with the same id if its answer is lost', async () => {
    const places = await ExecutionWorld.throughCrashes(
      async (mortal) => {
        mortal.egress.answer = () => json(200, { done: true });
        await mortal.agent(HTTP);
        return mortal.request(null);
      },
      async (mortal, work) => {
        expect(await mortal.types(work)).toEqual(['agent.started', 'agent.attempt_started', 'agent.finished']);
        expect(mortal.egress.requests.length).toBeLessThanOrEqual(2);
        for (const { body } of mortal.egress.requests)
          expect(JSON.parse(body as string)).toMatchObject({ executionId: work.key, attempt: 1 });
      },
    );
    expect(places).toBe(6);
  });
});

describe('an execution that an earlier version cancelled', () => {
  it('never starts, although that is recorded elsewhere', async () => {
    await world.agent(HTTP);
    const work = await world.request(null);
    const draft = { type: 'agent.cancelled' as const, data: { executionId: work.key } };
    const context = { id: uuid7(), orgId: ORG, actor: 'test', now: world.clock.now() };
    await world.store.append(streams.cancelled(work.key), [newEvent(draft, context)], 'no-stream');
    await world.run(work);
    expect(await world.types(work)).toEqual([]);
    expect(world.egress.requests).toEqual([]);
  });
});

describe('a result that an agent delivers later', () => {
  it('ends the execution once: a second one changes nothing', async () => {
    await world.agent(HTTP);
    const work = await world.request(null);
    world.egress.answer = () => json(202, {});
    await world.run(work);
    expect(await world.types(work)).toEqual(['agent.started', 'agent.attempt_started', 'agent.accepted']);
    const token = await world.tokens.of(ORG, work.key);
    expect(await deliver(work.key, token)).toEqual({ executionId: work.key, status: 'completed' });
    expect((await world.last(work)).data).toMatchObject({ output: { late: true } });
    await expect(deliver(work.key, token, 'failed')).rejects.toMatchObject({ code: 'agent.execution_ended' });
    expect(await world.last(work)).toMatchObject({ type: 'agent.finished' });
  });

  it('is refused with the token of another execution, of another agent, or with none', async () => {
    await world.agent(HTTP);
    const [work, other] = [await world.request(null), await world.request(null)];
    world.egress.answer = () => json(202, {});
    await world.run(work);
    const refused = { kind: 'unauthenticated', code: 'agent.bad_callback_token' };
    await expect(deliver(work.key, '')).rejects.toMatchObject(refused);
    await expect(deliver(work.key, await world.tokens.of(ORG, other.key))).rejects.toMatchObject(refused);
    await expect(deliver(work.key, await world.tokens.of('org_2', work.key))).rejects.toMatchObject(refused);
    const token = await world.tokens.of(ORG, work.key);
    await expect(deliver(work.key, token, 'completed', 'agt_other')).rejects.toMatchObject(refused);
    await expect(deliver('exec_none', token)).rejects.toMatchObject(refused);
    expect(await world.last(work)).toMatchObject({ type: 'agent.accepted' });
  });

  it('that does not come in time ends as timeout, and is refused then', async () => {
    await world.agent(HTTP);
    const work = await world.request(null);
    world.egress.answer = () => json(202, {});
    await world.run(work);
    world.clock.advance(5 * 60_000);
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.failed', data: { status: 'timeout' } });
    await expect(deliver(work.key, await world.tokens.of(ORG, work.key))).rejects.toMatchObject({ kind: 'conflict' });
  });

  it('may come before the agent has answered', async () => {
    await world.agent(HTTP);
    const work = await world.request(null);
    world.egress.answer = async () => {
      await deliver(work.key, await world.tokens.of(ORG, work.key));
      return json(202, {});
    };
    await world.run(work);
    expect(await world.types(work)).toEqual(['agent.started', 'agent.attempt_started', 'agent.finished']);
  });
});
