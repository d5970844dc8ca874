import { describe, expect, it } from '@jest/globals';

import { played } from '../../../testing/played.js';

describe('a switch', () => {
  it('takes the first case that is true, and the steps in it are seen after it', async () => {
    const yaml = `
name: x
steps:
  - id: choose
    switch:
      - if: inputs.n > \`10\`
        steps: [{ id: big, uses: echo, with: { value: big } }]
      - if: inputs.n > \`5\`
        steps: [{ id: middle, uses: echo, with: { value: middle } }]
      - else: true
        steps: [{ id: small, uses: echo, with: { value: small } }]
outputs: { case: "\${{ steps.choose.output.case }}", size: "\${{ steps.big.output || steps.middle.output || steps.small.output }}" }
`;
    const outputsFor = async (n: number) =>
      (await played({ yaml, inputs: { n } })).last('workflow.completed')['outputs'];
    expect(await outputsFor(11)).toEqual({ case: 0, size: 'big' });
    expect(await outputsFor(7)).toEqual({ case: 1, size: 'middle' });
    expect(await outputsFor(1)).toEqual({ case: 2, size: 'small' });
  });

  it('goes on behind a switch of which no case is true', async () => {
    const { last } = await played({
      yaml: `
name: x
steps:
  - id: choose
    switch: [{ if: false, steps: [{ uses: echo, with: { value: 1 } }] }]
outputs: { case: "\${{ steps.choose.output.case }}" }
`,
    });
    expect(last('workflow.completed')['outputs']).toEqual({ case: null });
  });
});
