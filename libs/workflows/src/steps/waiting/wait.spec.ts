import { describe, expect, it } from '@jest/globals';

import { MINUTE, played } from '../../../testing/played.js';

describe('a wait', () => {
  it('lets time pass, and nothing is done meanwhile', async () => {
    const { elapsed, story } = await played({
      yaml: 'name: x\nsteps:\n  - { id: nap, wait: { for: 3d } }\n  - { id: up, uses: echo, with: { value: 1 } }\n',
    });
    expect(elapsed).toBe(3 * 24 * 60 * MINUTE);
    expect(story).toEqual([
      'workflow.started',
      'workflow.status_changed running',
      'run.timer_set nap',
      'workflow.status_changed waiting',
      'run.rested',
      'run.timer_fired nap',
      'workflow.step_completed nap',
      'workflow.step_completed up',
      'workflow.completed',
      'workflow.status_changed completed',
    ]);
  });

  it('may end at a time, also at one that is over', async () => {
    const until = async (time: string) =>
      (await played({ yaml: 'name: x\nsteps: [{ wait: { until: "${{ inputs.time }}" } }]\n', inputs: { time } }))
        .elapsed;
    expect(await until('2026-01-01T00:10:00Z')).toBe(10 * MINUTE);
    expect(await until('2025-01-01T00:10:00+02:00')).toBe(0);
  });

  it('for something that is no time fails', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ wait: { for: "${{ inputs.x }}" } }]\n',
      inputs: { x: 'soon' },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'wait.bad_time' });
  });

  it('runs beside others in a loop', async () => {
    const { elapsed } = await played({
      yaml: 'name: x\nsteps:\n  - forEach: [1m, 5m, 2m]\n    concurrency: 3\n    steps: [{ wait: { for: "${{ item }}" } }]\n',
    });
    expect(elapsed).toBe(5 * MINUTE);
  });
});
