import { describe, expect, it } from '@jest/globals';

import { MINUTE, played } from '../../../testing/played.js';

describe('a while', () => {
  const poll = (settings: string, more = '') => `
name: x
steps:
  - id: poll
    while: { ${settings} }
    ${more}
    steps:
      - { id: ask, uses: call, with: { to: "number \${{ index }}" } }
outputs: { iterations: "\${{ steps.poll.output.iterations }}", last: "\${{ steps.poll.output.last }}" }
`;

  it('repeats its steps until the condition, which sees the iteration before, is false', async () => {
    const { last, elapsed } = await played({
      yaml: poll('condition: "steps.ask.output.state != \'done\'", maxIterations: 10, delay: 1m'),
      makeAttempt: ({ path }) => Promise.resolve({ state: path === 'poll[2].ask' ? 'done' : 'busy' }),
    });
    expect(last('workflow.completed')['outputs']).toEqual({ iterations: 3, last: { state: 'done' } });
    expect(elapsed).toBe(2 * MINUTE);
  });

  it('whose condition is false at first does nothing', async () => {
    const { last } = await played({ yaml: poll('condition: false, maxIterations: 10') });
    expect(last('workflow.completed')['outputs']).toEqual({ iterations: 0, last: null });
  });

  it('fails after maxIterations, and keeps what it has', async () => {
    const { last, story } = await played({
      yaml: poll('condition: true, maxIterations: 2'),
      makeAttempt: ({ path }) => Promise.resolve(path),
    });
    expect(last('workflow.error')).toMatchObject({
      path: 'poll',
      error: { code: 'step.too_many_iterations' },
      output: { iterations: 2, last: 'poll[1].ask' },
    });
    expect(story.filter((line) => line.startsWith('run.step_started'))).toHaveLength(2);
  });

  it('stops when a step in it fails', async () => {
    const { last } = await played({
      yaml: poll('condition: true, maxIterations: 2'),
      makeAttempt: () => Promise.reject(new Error('no')),
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.bug', path: 'poll[0].ask' });
  });

  it('counts with a variable, and sees the item of the loop around it', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - uses: set
    with: { count: 0 }
  - id: each
    forEach: [3, 4]
    steps:
      - while: { condition: index < item, maxIterations: 5 }
        steps:
          - { id: next, uses: compute, with: { expression: "sum([vars.count, \`1\`])" } }
          - { uses: set, with: { count: "\${{ steps.next.output }}" } }
outputs: { count: "\${{ vars.count }}" }
`,
    });
    expect(last('workflow.completed')['outputs']).toEqual({ count: 7 });
  });
});
