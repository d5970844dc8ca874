import { beforeEach, describe, expect, it } from '@jest/globals';

import type { ClaimedWork } from '#libs/persistence/src/claims/work.js';

import { A2aDouble } from '../../testing/a2a-double.js';
import { ExecutionWorld, json, toDoubles } from '../../testing/execution-world.js';
import type { ExecutionTask } from '../execution/run-execution.worker.js';

let world: ExecutionWorld;
beforeEach(() => {
  world = new ExecutionWorld();
});

async function given(double: A2aDouble, to = world, config: object = {}): Promise<ClaimedWork<ExecutionTask>> {
  to.egress.answer = toDoubles({ 'agent.example.com': double });
  await to.agent({ runtime: 'a2a', config: { url: 'https://agent.example.com', ...config } });
  return to.request({ title: 'DB latency' });
}

describe('an agent that speaks A2A', () => {
  it('is sent a message, and asked for its task until that is completed', async () => {
    const double = new A2aDouble(['WORKING', 'WORKING', 'WORKING', 'COMPLETED']);
    const work = await given(double);
    await world.run(work);
    expect(await world.types(work)).toEqual([
      'agent.started',
      'agent.attempt_started',
      'agent.accepted',
      'agent.finished',
    ]);
    expect((await world.last(work)).data).toMatchObject({ output: { priority: 'high' } });
    expect([...double.tasks.values()]).toMatchObject([{ parts: [{ data: { title: 'DB latency' } }] }]);
    expect(double.problems).toEqual([]);
  });

  it.each([
    ['FAILED', 'agent.task_failed'],
    ['REJECTED', 'agent.task_rejected'],
    ['CANCELED', 'agent.task_cancelled'],
    ['INPUT_REQUIRED', 'agent.input_required'],
  ] as const)('whose task is %s fails', async (state, code) => {
    const work = await given(new A2aDouble(['WORKING', state]));
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.failed', data: { error: { code } } });
  });

  it('that does not answer for a moment is asked again, with the same message', async () => {
    const double = new A2aDouble(['COMPLETED']);
    double.failures.push(503);
    const work = await given(double);
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.attempt_failed' });
    world.clock.advance(60_000);
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.finished' });
    expect(double.tasks.size).toBe(1);
  });

  it('that does not answer for a moment while it works is not given up', async () => {
    const double = new A2aDouble(['WORKING', 'COMPLETED']);
    const work = await given(double);
    const answer = world.egress.answer;
    let looks = 0;
    world.egress.answer = (request, nth) =>
      request.method === 'GET' && request.url.includes('/tasks/') && ++looks === 1
        ? json(502, {})
        : answer(request, nth);
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ type: 'agent.finished' });
    expect(looks).toBe(2);
  });

  it.each([
    ['another host', new A2aDouble([], 'https://other.example.com/v1'), 'agent.a2a_other_host'],
    ['no HTTP+JSON', new A2aDouble([], 'https://agent.example.com/v1', 'GRPC'), 'agent.a2a_unsupported'],
  ])('whose card names %s is refused', async (_, double, code) => {
    const work = await given(double);
    await world.run(work);
    expect(await world.last(work)).toMatchObject({ data: { error: { code } } });
  });

  it('gets the task once, wherever the process dies', async () => {
    let double: A2aDouble;
    await ExecutionWorld.throughCrashes(
      (mortal) => given((double = new A2aDouble(['WORKING', 'COMPLETED'])), mortal),
      async (mortal, work) => {
        expect(await mortal.last(work)).toMatchObject({ type: 'agent.finished' });
        expect(double.tasks.size).toBe(1);
        expect(double.problems).toEqual([]);
      },
    );
  });
});
