import { describe, expect, it } from '@jest/globals';

import { failing, MINUTE, played } from '../../../testing/played.js';
import { timelineOf } from '../../run/shown/timeline.js';

describe('a parallel', () => {
  const both = (first: string, second: string, more = '') => `
name: x
steps:
  - id: both
    ${more}
    parallel:
      - steps: [${first}]
      - steps: [${second}]
outputs:
  branches: "\${{ steps.both.output.branches[].[status, output, error.code] }}"
  seen: "\${{ [steps.a.output, steps.b.output] }}"
`;
  const echo = (id: string) => `{ id: ${id}, uses: echo, with: { value: ${id} } }`;
  const call = (id: string) => `{ id: ${id}, uses: call, with: { to: ${id} } }`;

  it('runs its branches at the same time, and their steps are seen after it', async () => {
    const { last, elapsed } = await played({
      yaml: both(`{ wait: { for: 5m } }, ${echo('a')}`, `{ wait: { for: 5m } }, ${echo('b')}`),
    });
    expect(elapsed).toBe(5 * MINUTE);
    expect(last('workflow.completed')['outputs']).toEqual({
      branches: [
        ['completed', 'a', null],
        ['completed', 'b', null],
      ],
      seen: ['a', 'b'],
    });
  });

  it('stops the other branches at the first failure', async () => {
    let stopped = false;
    const { run, last, story } = await played({
      yaml: both(call('a'), `{ wait: { for: 1m } }, ${call('b')}`),
      makeAttempt: ({ path }, _run, _limit, signal) =>
        path === 'a'
          ? Promise.reject(failing())
          : new Promise((resolve) => signal.addEventListener('abort', () => resolve((stopped = true)))),
    });
    expect(run.status).toBe('failed');
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'call.busy', path: 'a' });
    expect(story).not.toContain('run.step_started b');
    expect(stopped).toBe(false);
  });

  it('aborts an attempt of another branch that is under way', async () => {
    let stopped = false;
    const { run } = await played({
      yaml: both(call('a'), call('b')),
      makeAttempt: ({ path }, _run, _limit, signal) =>
        path === 'a'
          ? Promise.reject(failing())
          : new Promise((resolve) => signal.addEventListener('abort', () => resolve((stopped = true)))),
    });
    expect(run.status).toBe('failed');
    expect(stopped).toBe(true);
  });

  it('with onError: continue lets the other branches go on, and shows what became of each', async () => {
    const { last, elapsed } = await played({
      yaml: both(call('a'), `{ wait: { for: 5m } }, ${echo('b')}`, 'onError: continue'),
      makeAttempt: () => Promise.reject(failing()),
    });
    expect(elapsed).toBe(5 * MINUTE);
    expect(last('workflow.error')).toMatchObject({ path: 'both', continued: true, error: { code: 'call.busy' } });
    expect(last('workflow.completed')['outputs']).toEqual({
      branches: [
        ['failed', null, 'call.busy'],
        ['completed', 'b', null],
      ],
      seen: [null, 'b'],
    });
  });

  it('has a time limit for all branches', async () => {
    const { last } = await played({
      yaml: both(`{ wait: { for: 1h } }, ${echo('a')}`, echo('b'), 'timeout: 1m'),
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.timeout', path: 'both' });
  });

  it('inside a loop has branches of its own for each item', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: each
    forEach: [1, 2]
    steps:
      - parallel:
          - steps: [{ id: a, uses: echo, with: { value: "\${{ item }}" } }]
          - steps: [{ if: false, uses: echo, with: { value: 1 } }]
outputs: { results: "\${{ steps.each.output.results }}" }
`,
    });
    expect(last('workflow.completed')['outputs']).toEqual({ results: [1, 2] });
  });

  describe('that is a race', () => {
    it('ends with the first branch that completes, and cancels the others', async () => {
      const { last, elapsed, story, world } = await played({
        yaml: both(`{ wait: { for: 5m } }, ${call('a')}`, `{ wait: { for: 1m } }, ${echo('b')}`, 'race: true'),
      });
      expect(elapsed).toBe(MINUTE);
      expect(story).not.toContain('run.step_started a');
      expect(last('workflow.completed')['outputs']).toEqual({
        branches: [
          ['cancelled', null, null],
          ['completed', 'b', null],
        ],
        seen: [null, 'b'],
      });
      expect(timelineOf(await world.events(), world.definition).map(({ path, status }) => [path, status])).toEqual([
        ['both', 'completed'],
        ['wait_1', 'cancelled'],
        ['wait_2', 'completed'],
        ['b', 'completed'],
      ]);
    });

    it('begins no further branch once one has completed', async () => {
      const { story } = await played({ yaml: both(echo('a'), call('b'), 'race: true') });
      expect(story).not.toContain('run.step_started b');
    });

    it('fails with the first failure; with onError: continue the next branch may win', async () => {
      const yaml = (more: string) => both(call('a'), `{ wait: { for: 5m } }, ${echo('b')}`, `race: true\n    ${more}`);
      const makeAttempt = () => Promise.reject(failing());
      const strict = await played({ yaml: yaml('onError: fail'), makeAttempt });
      expect(strict.run.status).toBe('failed');
      const patient = await played({ yaml: yaml('onError: continue'), makeAttempt });
      expect(patient.last('workflow.completed')['outputs']).toEqual({
        branches: [
          ['failed', null, 'call.busy'],
          ['completed', 'b', null],
        ],
        seen: [null, 'b'],
      });
    });

    it('is not won by a branch whose steps are all skipped', async () => {
      const skipped = "{ id: a, if: 'event.data.x', uses: echo, with: { value: 1 } }";
      const { last } = await played({ yaml: both(skipped, `{ wait: { for: 1m } }, ${echo('b')}`, 'race: true') });
      expect(last('workflow.completed')['outputs']).toMatchObject({ seen: [null, 'b'] });
    });
  });
});
