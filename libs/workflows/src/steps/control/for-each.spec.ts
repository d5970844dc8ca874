import { describe, expect, it } from '@jest/globals';

import { failing, MINUTE, played } from '../../../testing/played.js';

describe('a loop', () => {
  const loop = (more: string, body = 'uses: echo, with: { value: "${{ item }}" }') => `
name: x
steps:
  - id: each
    forEach: "\${{ inputs.items }}"
    ${more}
    steps: [{ id: inner, ${body} }]
outputs: { results: "\${{ steps.each.output.results }}", stopped: "\${{ steps.each.output.stopped }}" }
`;

  it('does its steps for each item, in order, and collects what the last step of each has', async () => {
    const { last, story } = await played({
      yaml: loop('concurrency: 1', 'uses: compute, with: { expression: "[item, index]" }'),
      inputs: { items: ['a', 'b'] },
    });
    expect(last('workflow.completed')['outputs']).toEqual({
      results: [
        ['a', 0],
        ['b', 1],
      ],
      stopped: false,
    });
    expect(story.filter((line) => line.includes('each'))).toEqual([
      'run.loop_entered each',
      'workflow.step_completed each[0].inner',
      'run.item_completed each',
      'workflow.step_completed each[1].inner',
      'run.item_completed each',
      'workflow.step_completed each',
    ]);
  });

  it('ends early once until is true', async () => {
    const { last } = await played({
      yaml: loop("until: steps.inner.output == 'b'"),
      inputs: { items: ['a', 'b', 'c'] },
    });
    expect(last('workflow.completed')['outputs']).toEqual({ results: ['a', 'b'], stopped: true });
  });

  it('over nothing is done at once', async () => {
    const { last } = await played({ yaml: loop('concurrency: 2'), inputs: { items: [] } });
    expect(last('workflow.completed')['outputs']).toEqual({ results: [], stopped: false });
  });

  it('over something that is no list fails', async () => {
    const { last } = await played({ yaml: loop('concurrency: 2'), inputs: { items: 'abc' } });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'loop.no_list', path: 'each' });
  });

  it('over a thousand items goes through in several appends, each well below the limit', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const { last, run } = await played({ yaml: loop('concurrency: 7'), inputs: { items } });
    expect(run.status).toBe('completed');
    expect(last('workflow.completed')['outputs']).toEqual({ results: items, stopped: false });
  });

  it('says once that it is near a limit: of items, of steps and of an output', async () => {
    const items = Array.from({ length: 800 }, (_, i) => i);
    const { events } = await played({
      yaml: `
name: x
steps:
  - id: outer
    forEach: [1, 2, 3]
    steps: [{ id: inner, forEach: "\${{ inputs.items }}", steps: [{ id: a, uses: echo, with: { value: 1 } }, { id: b, uses: echo, with: { value: 1 } }] }]
`,
      inputs: { items },
    });
    const near = events.flatMap((event) => (event.is('workflow.near_limit') ? [event.data] : []));
    expect(near).toMatchObject([
      { limit: 'items', path: 'outer[0].inner', value: 800, max: 1000 },
      { limit: 'steps', value: 4000, max: 5000 },
      { limit: 'output', path: 'outer', max: 256 * 1024 },
    ]);
  });

  it('over more than a thousand items is refused', async () => {
    const { last } = await played({ yaml: loop('concurrency: 1'), inputs: { items: Array(1001).fill(1) } });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'loop.too_long' });
  });

  it('inside a loop comes to an end, however long both are', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const { last, run } = await played({
      yaml: `
name: x
steps:
  - forEach: "\${{ inputs.items }}"
    steps: [{ forEach: "\${{ inputs.items }}", steps: [{ if: false, uses: echo, with: { value: 1 } }] }]
onFailure: [{ id: told, uses: echo, with: { value: 1 } }]
`,
      inputs: { items },
    });
    expect(run.status).toBe('failed');
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'run.too_long' });
    expect(last('workflow.step_completed')).toMatchObject({ path: 'told' });
  });

  it('has at most so many items under way at a time', async () => {
    let busy = 0;
    let most = 0;
    const { run, last } = await played({
      yaml: loop('concurrency: 3', 'uses: call, with: { to: "${{ item }}" }'),
      inputs: { items: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] },
      makeAttempt: async ({ input }) => {
        most = Math.max(most, ++busy);
        await new Promise((resolve) => setImmediate(resolve));
        busy--;
        return (input as { to: string }).to;
      },
    });
    expect(run.status).toBe('completed');
    expect(most).toBe(3);
    expect(last('workflow.completed')['outputs']).toMatchObject({ results: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] });
  });

  it('fails with the first item that fails, and stops the others', async () => {
    const stopped: string[] = [];
    const { run, last } = await played({
      yaml: loop('concurrency: 3', 'uses: call, with: { to: "${{ item }}" }'),
      inputs: { items: ['a', 'b', 'c'] },
      makeAttempt: async ({ input }, _run, _timeout, signal) => {
        const { to } = input as { to: string };
        if (to === 'b') throw failing({ retryable: false });
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            stopped.push(to);
            reject(new Error('stopped'));
          }),
        );
      },
    });
    expect(run.status).toBe('failed');
    expect(stopped.sort()).toEqual(['a', 'c']);
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'call.busy', path: 'each[1].inner' });
  });

  it('that fails waits no longer for what its items wait for', async () => {
    const { last, run, elapsed } = await played({
      yaml: `
name: x
steps:
  - id: each
    forEach: [ask, bad]
    concurrency: 2
    onError: continue
    steps:
      - { if: item == 'ask', uses: redeliver_webhook, with: { delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a } }
      - { if: item == 'bad', wait: { for: "\${{ item }}" } }
  - { wait: { for: 1m } }
`,
    });
    expect(last('run.rested')).toMatchObject({ until: '2026-01-01T00:01:00.000Z', awaiting: [] });
    expect({ status: run.status, elapsed }).toEqual({ status: 'completed', elapsed: MINUTE });
  });

  it('inside a loop keeps items apart', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: outer
    forEach: "\${{ inputs.rows }}"
    steps:
      - { id: first, uses: echo, with: { value: "\${{ item[0] }}" } }
      - id: inner
        forEach: "\${{ item }}"
        steps: [{ id: cell, uses: compute, with: { expression: "[steps.first.output, item, index]" } }]
outputs: { cells: "\${{ steps.outer.output.results[].results[] }}" }
`,
      inputs: { rows: [[1, 2], [3]] },
    });
    expect(last('workflow.completed')['outputs']).toEqual({
      cells: [
        [1, 1, 0],
        [1, 2, 1],
        [3, 3, 0],
      ],
    });
  });

  it('with onItemError: continue goes on behind an item that failed, and shows what became of each', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: each
    forEach: [good, bad, left out]
    onItemError: continue
    steps:
      - { id: inner, if: "item != 'left out'", uses: call, with: { to: "\${{ item }}" } }
outputs:
  results: "\${{ steps.each.output.results }}"
  items: "\${{ steps.each.output.items[].[status, output, error.code, error.path] }}"
`,
      makeAttempt: ({ input }) =>
        (input as { to: string }).to === 'bad' ? Promise.reject(failing()) : Promise.resolve('done'),
    });
    expect(last('workflow.completed')['outputs']).toEqual({
      results: ['done', null, null],
      items: [
        ['completed', 'done', null, null],
        ['failed', null, 'call.busy', 'each[1].inner'],
        ['skipped', null, null, null],
      ],
    });
  });

  it('with onItemError: continue still ends where the run has too many steps', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const { last, run } = await played({
      yaml: `
name: x
steps:
  - forEach: "\${{ inputs.items }}"
    onItemError: continue
    onError: continue
    steps: [{ forEach: "\${{ inputs.items }}", steps: [{ if: false, uses: echo, with: { value: 1 } }] }]
`,
      inputs: { items },
    });
    expect(run.status).toBe('failed');
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'run.too_long' });
  });
});
