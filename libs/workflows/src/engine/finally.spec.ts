import { describe, expect, it } from '@jest/globals';

import { failing, MINUTE, played } from '../../testing/played.js';
import { VirtualWorld } from '../../testing/virtual-world.js';
import { cancelRun } from '../run/commands/cancel-run.js';
import { timelineOf } from '../run/shown/timeline.js';

const release = '{ id: release, uses: echo, with: { value: "${{ [run.status, error.code] }}" } }';
const yaml = (steps: string, more = '', last = `[${release}]`) =>
  `name: x\nsteps: [${steps}]\n${more}\nfinally: ${last}\noutputs: { said: "\${{ 'done' }}" }\n`;

describe('finally', () => {
  const ended = async (source: string) => {
    const { run, last, events } = await played({ yaml: source, makeAttempt: () => Promise.reject(failing()) });
    const said = events.findLast((event) => event.is('workflow.step_completed') && event.data.path === 'release');
    return { status: run.status, said: (said?.data as { output?: unknown } | undefined)?.output, last };
  };

  it('runs after success, and the outputs are those of the steps', async () => {
    const { status, said, last } = await ended(yaml('{ uses: echo, with: { value: 1 } }'));
    expect({ status, said }).toEqual({ status: 'completed', said: ['completed', null] });
    expect(last('workflow.completed')['outputs']).toEqual({ said: 'done' });
  });

  it('runs after failure, behind onFailure, and the error stays', async () => {
    const onFailure = 'onFailure: [{ id: told, uses: echo, with: { value: "${{ error.code }}" } }]';
    const { status, said, last } = await ended(yaml('{ uses: call, with: { to: x } }', onFailure));
    expect({ status, said }).toEqual({ status: 'failed', said: ['failed', 'call.busy'] });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'call.busy' });
  });

  it('that fails spoils a success, and hides no failure', async () => {
    const bad = '[{ id: bad, uses: call, with: { to: x } }]';
    const spoilt = await ended(yaml('{ uses: echo, with: { value: 1 } }', '', bad));
    expect(spoilt.last('workflow.failed')['error']).toMatchObject({ code: 'call.busy', path: 'bad' });
    const first = await ended(yaml('{ id: first, uses: call, with: { to: x } }', '', bad));
    expect(first.last('workflow.failed')['error']).toMatchObject({ path: 'first' });
  });

  it('has a time limit of its own, also where that of the run is over', async () => {
    const { last, elapsed, run } = await played({
      yaml: yaml('{ wait: { for: 1h } }', 'timeout: 1m', `{ timeout: 5m, steps: [${release}, { wait: { for: 1d } }] }`),
    });
    expect(run.status).toBe('failed');
    expect(elapsed).toBe(6 * MINUTE);
    expect(last('workflow.failed')['error']).toMatchObject({ type: 'timeout', code: 'run.timeout' });
    expect(last('workflow.step_completed')).toMatchObject({ path: 'release', output: ['failed', 'run.timeout'] });
  });

  it('sees no error where there is none, and outputs do not see its steps', () => {
    expect(
      () => new VirtualWorld({ yaml: `${yaml('{ wait: { for: 1s } }').replace("'done'", 'steps.release.output')}` }),
    ).toThrow('The step "release" runs later');
  });
});

describe('a run that is cancelled', () => {
  const cancel = (world: VirtualWorld) =>
    cancelRun(
      world.store,
      { runId: world.runId, orgId: world.orgId, by: 'token/me' },
      () => world.clock.now(),
      () => Promise.resolve(world.definition),
    );
  const toTheEnd = async (world: VirtualWorld) => {
    for (let run = await world.run(); run.status !== 'unknown' && !run.ended; run = await world.run()) {
      await world.goOn();
      await world.untilNext();
    }
  };

  it('does the steps of finally, and only then ends', async () => {
    const world = new VirtualWorld({
      yaml: yaml('{ id: nap, wait: { for: 1h } }', '', `[{ wait: { for: 1m } }, ${release}]`),
    });
    await world.begin();
    await world.goOn();
    expect(await cancel(world)).toMatchObject({ run: { ended: false } });
    // Asked again, for instance since the answer was lost: nothing more is recorded.
    const before = await world.events();
    await cancel(world);
    expect(await world.events()).toHaveLength(before.length);

    await toTheEnd(world);
    expect((await world.run()).status).toBe('cancelled');
    const events = await world.events();
    expect(events.at(-2)).toMatchObject({ type: 'run.cancelled', data: { by: 'token/me' } });
    expect(timelineOf(events, world.definition).map(({ path, status }) => [path, status])).toEqual([
      ['nap', 'cancelled'],
      ['wait_1', 'completed'],
      ['release', 'completed'],
    ]);
  });

  it('is not cancelled once its steps are over', async () => {
    const world = new VirtualWorld({ yaml: yaml('{ uses: echo, with: { value: 1 } }', '', '[{ wait: { for: 1m } }]') });
    await world.begin();
    await world.goOn();
    await expect(cancel(world)).rejects.toMatchObject({ code: 'run.ending' });
  });
});
