import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../../testing/library.js';
import { played } from '../../../testing/played.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';

describe('set', () => {
  it('sets variables that every later expression sees, and the last value counts', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - { uses: set, with: { a: 1, b: "\${{ inputs.b }}" } }
  - forEach: [5, 6]
    steps: [{ uses: set, with: { a: "\${{ item }}" } }]
outputs: { vars: "\${{ vars }}" }
`,
      inputs: { b: { deep: true } },
    });
    expect(last('workflow.completed')['outputs']).toEqual({ vars: { a: 6, b: { deep: true } } });
  });

  it('keeps variables that fit into the limit of an output, all together', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - { uses: set, with: { a: "\${{ inputs.text }}" } }
  - { id: second, uses: set, with: { b: "\${{ inputs.text }}" } }
`,
      inputs: { text: 'x'.repeat(150 * 1024) },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'run.vars_too_large', path: 'second' });
  });

  const problemOf = (steps: string) => {
    const parsed = parseWorkflow(`name: x\nsteps:\n${steps}`, testSteps);
    return parsed.ok ? undefined : parsed.problems[0];
  };

  it('is the only one whose names expressions may read', () => {
    expect(
      problemOf('  - { uses: set, with: { count: 1 } }\n  - { uses: echo, with: { value: "${{ vars.cuont }}" } }\n'),
    ).toMatchObject({
      code: 'workflow.unknown_name',
      line: 4,
      column: 34,
      detail: 'No step sets "vars.cuont". Did you mean "count"? Set: count.',
    });
  });

  it('takes names that expressions can read', () => {
    expect(problemOf('  - { uses: set, with: { a-b: 1 } }\n')).toMatchObject({
      code: expect.stringMatching(/^workflow\./),
      line: 3,
      detail: expect.stringContaining('letters, digits and _'),
    });
  });
});
