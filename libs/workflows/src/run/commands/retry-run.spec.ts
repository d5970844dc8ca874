import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { arbitraryWorkflow } from '../../../testing/arbitrary-workflow.js';
import { testSteps } from '../../../testing/library.js';
import { failing, MINUTE } from '../../../testing/played.js';
import { VirtualWorld, type WorldOptions } from '../../../testing/virtual-world.js';
import type { Definition } from '../../language/definition.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';
import { timelineOf } from '../shown/timeline.js';
import { retryRun } from './retry-run.js';

const definitionOf = (yaml: string): Definition => {
  const parsed = parseWorkflow(yaml, testSteps);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.definition;
};

/** A run whose calls fail as long as their path is in `broken`. */
function given(yaml: string, broken: string[], more: Partial<WorldOptions> = {}) {
  const calls: string[] = [];
  const rounds: number[] = [];
  const versions = new Map([['v1', definitionOf(yaml)]]);
  const world = new VirtualWorld({
    yaml,
    makeAttempt: ({ path, round }) => {
      calls.push(path);
      rounds.push(round);
      return broken.includes(path) ? Promise.reject(failing()) : Promise.resolve({ path });
    },
    ...more,
  });
  const goOn = async () => {
    for (let run = await world.run(); run.status !== 'unknown' && !run.ended; run = await world.run()) {
      await world.goOn();
      const after = await world.run();
      if (after.status !== 'unknown' && !after.ended && !(await world.untilNext())) break;
    }
    return (await world.run()).status;
  };
  const retry = async (asked: { version?: string; request?: string } = {}) => {
    const lookup = {
      find: (_: string, version: string) => Promise.resolve(versions.get(version)),
      versionNamed: (_: string, name: string) => Promise.resolve(versions.has(name) ? name : undefined),
    };
    const command = { runId: world.runId, orgId: world.orgId, by: 'token/me', ...asked };
    const { run } = await retryRun(world.store, lookup, command, () => world.clock.now());
    Object.assign(world, { definition: versions.get(run.start.version) });
    return run;
  };
  const shown = async () =>
    timelineOf(await world.events(), world.definition).map(({ path, status, attempts }) => [
      path,
      status,
      attempts.length,
    ]);
  return { world, calls, rounds, versions, goOn, retry, shown };
}

const call = (id: string, more = '') => `{ id: ${id}, uses: call, with: { to: ${id} }${more} }`;

describe('a failed run that is retried', () => {
  it('goes on from the step that failed, and does nothing again that had completed', async () => {
    const broken = ['two'];
    const { world, calls, rounds, goOn, retry, shown } = given(
      `name: x\nsteps: [${call('one')}, ${call('two')}, ${call('three')}]\n`,
      broken,
    );
    await world.begin();
    expect(await goOn()).toBe('failed');
    broken.pop();
    expect((await retry()).status).toBe('running');
    expect(await goOn()).toBe('completed');
    expect(calls).toEqual(['one', 'two', 'two', 'three']);
    // The receiver must be able to tell that it had done it.
    expect(rounds).toEqual([0, 0, 0, 0]);
    expect(await shown()).toEqual([
      ['one', 'completed', 1],
      ['two', 'completed', 2],
      ['three', 'completed', 1],
    ]);
  });

  it('goes on inside loops, branches and iterations: only what failed or was interrupted begins anew', async () => {
    const broken = ['each[1].b', 'right'];
    const { world, calls, goOn, retry } = given(
      `name: x
steps:
  - id: both
    parallel:
      - steps: [${call('left')}, { id: nap, wait: { for: 1h } }]
      - steps: [${call('right')}]
  - id: each
    forEach: [1, 2, 3]
    steps: [${call('a')}, ${call('b')}]
`,
      broken,
    );
    await world.begin();
    expect(await goOn()).toBe('failed');
    expect(calls.toSorted()).toEqual(['left', 'right']);
    broken.pop();
    calls.length = 0;
    await retry();
    expect(await goOn()).toBe('failed');
    expect(calls).toEqual(['right', 'each[0].a', 'each[0].b', 'each[1].a', 'each[1].b']);
    broken.pop();
    calls.length = 0;
    await retry();
    expect(await goOn()).toBe('completed');
    expect(calls).toEqual(['each[1].b', 'each[2].a', 'each[2].b']);
  });

  it('has its time limits anew, and onFailure and finally again, as other actions', async () => {
    const { world, calls, rounds, goOn, retry } = given(
      `name: x
timeout: 10m
steps: [${call('one')}, { id: nap, wait: { for: 1h } }]
onFailure: [${call('told')}]
finally: [${call('tidy')}]
`,
      [],
    );
    await world.begin();
    expect(await goOn()).toBe('failed');
    const first = world.clock.now().getTime();
    await retry();
    expect(await goOn()).toBe('failed');
    expect(world.clock.now().getTime() - first).toBe(10 * MINUTE);
    expect(calls).toEqual(['one', 'told', 'tidy', 'told', 'tidy']);
    expect(rounds).toEqual([0, 0, 0, 1, 1]);
  });

  it('asks other stages anew, under other ids', async () => {
    const { world, goOn, retry } = given(
      'name: x\nsteps: [{ id: sent, uses: redeliver_webhook, with: { delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a }, timeout: 1m }]\n',
      [],
    );
    await world.begin();
    expect(await goOn()).toBe('failed');
    await retry();
    expect(await goOn()).toBe('failed');
    const requests = (await world.events()).filter((event) => event.is('webhook.redelivery_requested'));
    expect(new Set(requests.map(({ id }) => id)).size).toBe(2);
  });

  it('is retried once for one request, however often that is repeated', async () => {
    const { world, goOn, retry, calls } = given(`name: x\nsteps: [${call('one')}]\n`, ['one']);
    await world.begin();
    await goOn();
    await retry({ request: 'batch-1' });
    await goOn();
    await retry({ request: 'batch-1' });
    expect(calls).toEqual(['one', 'one']);
    await retry({ request: 'batch-2' });
    await goOn();
    expect(calls).toHaveLength(3);
  });

  it('must have failed', async () => {
    const { world, goOn, retry } = given(`name: x\nsteps: [${call('one')}]\n`, []);
    await world.begin();
    await expect(retry()).rejects.toMatchObject({ code: 'run.not_failed' });
    await goOn();
    await expect(retry()).rejects.toMatchObject({ code: 'run.not_failed' });
  });
});

describe('a retry on another version', () => {
  const base = (second: string, first = call('one'), inside = call('in')) =>
    `name: x\nsteps: [${first}, { id: each, forEach: [1, 2], steps: [${inside}] }, ${second}]\noutputs: { v: "\${{ run.version }}" }\n`;

  it('goes on with it where the steps behind the run are the same', async () => {
    const { world, goOn, retry, versions, calls, rounds } = given(base(call('two')), ['two']);
    versions.set('v2', definitionOf(base(call('fixed'))));
    await world.begin();
    await goOn();
    await retry({ version: 'v2' });
    expect(await goOn()).toBe('completed');
    expect(calls).toEqual(['one', 'each[0].in', 'each[1].in', 'two', 'fixed']);
    expect(rounds.at(-1)).toBe(1);
    expect((await world.events()).at(-2)).toMatchObject({ data: { outputs: { v: 'v2' } } });
  });

  it.each([
    ['a step that has ended', base(call('two'), call('one', ', timeout: 5s')), 'one'],
    ['the id of a step', base(call('two'), call('other')), 'one'],
    ['the inside of a loop', base(call('two'), call('one'), call('in', ', name: other')), 'each'],
    ['the order', `name: x\nsteps: [{ id: each, forEach: [1, 2], steps: [${call('in')}] }, ${call('one')}]\n`, 'one'],
  ])('is refused where it changes %s, and names the step', async (_, yaml, step) => {
    const { world, goOn, retry, versions } = given(base(call('two')), ['two']);
    versions.set('v2', definitionOf(yaml));
    await world.begin();
    await goOn();
    await expect(retry({ version: 'v2' })).rejects.toMatchObject({
      code: 'run.version_differs',
      message: expect.stringContaining(`"${step}"`),
    });
    await expect(retry({ version: 'v9' })).rejects.toMatchObject({ code: 'run.unknown_version' });
  });

  it('may change what follows in the loop in which the run failed, and not what precedes it', async () => {
    const looped = (steps: string) => `name: x\nsteps: [{ id: each, forEach: [1, 2], steps: [${steps}] }]\n`;
    const { world, goOn, retry, versions, calls } = given(looped(`${call('a')}, ${call('b')}`), ['each[0].b']);
    versions.set('v2', definitionOf(looped(`${call('a')}, ${call('c')}`)));
    versions.set('v3', definitionOf(looped(`${call('z')}, ${call('a')}, ${call('b')}`)));
    await world.begin();
    await goOn();
    await expect(retry({ version: 'v3' })).rejects.toMatchObject({ message: expect.stringContaining('"a"') });
    await retry({ version: 'v2' });
    expect(await goOn()).toBe('completed');
    expect(calls).toEqual(['each[0].a', 'each[0].b', 'each[0].c', 'each[1].a', 'each[1].c']);
  });
});

describe('any workflow that is retried until it completes', () => {
  it('does no step again that had completed', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWorkflow(true), fc.integer({ min: 0, max: 3 }), async (yaml, seed) => {
        const completed = new Set<string>();
        const repeated: string[] = [];
        let failures = seed;
        const world = given(yaml, [], {
          answer: () => ({
            type: 'webhook.delivered',
            data: { deliveryId: 'd', eventId: 'e', eventType: 't', attempt: 2, latencyMs: 1, status: 200 },
          }),
          makeAttempt: ({ path, step }) => {
            if (completed.has(path)) repeated.push(path);
            if (failures++ % 3 === 0) return Promise.reject(failing({ retryable: false }));
            const isAnew = [...world.world.definition.onFailure, ...(world.world.definition.finally?.steps ?? [])];
            if (!isAnew.includes(step)) completed.add(path);
            return Promise.resolve(null);
          },
        });
        await world.world.begin();
        let status = await world.goOn();
        for (let tries = 0; status === 'failed' && tries < 40; tries++) {
          await world.retry();
          status = await world.goOn();
        }
        expect(repeated).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});
