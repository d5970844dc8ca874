import { describe, expect, it } from '@jest/globals';

import { failing } from '../../../testing/played.js';
import { VirtualWorld } from '../../../testing/virtual-world.js';
import { evolve, type StartedRun } from '../../engine/run-state.js';
import { takenOver } from './take-over-steps.js';

const yaml = `
name: x
steps:
  - { id: first, uses: set, with: { a: first, kept: first } }
  - id: each
    forEach: [1, 2]
    concurrency: 2
    steps:
      - { uses: set, with: { a: "item \${{ item }}" } }
      - { switch: [{ if: index == \`1\`, steps: [{ uses: set, with: { b: inner } }] }] }
  - id: either
    switch:
      - if: true
        steps:
          - id: loop
            while: { condition: "index < \`2\`", maxIterations: 5 }
            steps: [{ uses: set, with: { c: "turn \${{ index }}" } }]
  - { id: both, parallel: [{ steps: [{ uses: set, with: { d: branch } }] }] }
  - { id: last, uses: call, with: { to: x } }
  - { uses: set, with: { e: too late } }
`;

/** The variables of a run that begins in the middle of another, and of that one. */
async function variables(from: string, outputs: Record<string, unknown> = {}) {
  const world = new VirtualWorld({ yaml, makeAttempt: () => Promise.reject(failing({ retryable: false })) });
  const events = await world.toTheEnd();
  const run = (await world.run()) as StartedRun;
  const drafts = takenOver(run, events, world.definition, 'run_2', { from, outputs });
  const begun: StartedRun = { ...run, steps: {}, vars: {}, ended: false };
  const timestamp = run.startedAt;
  const again = drafts.reduce((state, draft) => evolve(state, { ...draft, timestamp }) as StartedRun, begun);
  return { vars: again.vars, before: run.vars };
}

describe('a run that begins in the middle', () => {
  it('has the variables that were set before, in loops and branches too', async () => {
    const { vars, before } = await variables('last');
    expect(vars).toEqual({ a: 'item 2', kept: 'first', b: 'inner', c: 'turn 1', d: 'branch' });
    expect(vars).toEqual(before);
  });

  it('has none that later steps set', async () => {
    expect((await variables('either')).vars).toEqual({ a: 'item 2', kept: 'first', b: 'inner' });
    expect((await variables('each')).vars).toEqual({ a: 'first', kept: 'first' });
  });

  it('has what the request gives in place of what a step set', async () => {
    expect((await variables('each', { first: { a: 'given' } })).vars).toEqual({ a: 'given' });
    expect((await variables('either', { each: { results: [] } })).vars).toMatchObject({ a: 'item 2', b: 'inner' });
  });
});
