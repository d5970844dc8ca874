import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../testing/library.js';
import { checkedSource } from './workflow-source.js';

describe('a workflow that is to be saved', () => {
  it('is refused with the place of each problem, said once', () => {
    const save = () => checkedSource('name: x\nsteps:\n  - uses: ecko\n', testSteps);
    expect(save).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^The workflow was not saved: line 3, column 11: There is no step "ecko"\./),
        problems: [
          expect.objectContaining({ line: 3, column: 11, detail: expect.stringMatching(/^There is no step/) }),
        ],
      }),
    );
  });

  it('is answered with its warnings', () => {
    const source = "name: x\nsteps: [{ uses: echo, if: '!inputs.a', with: { value: 1 } }]\n";
    expect(checkedSource(source, testSteps)).toEqual([
      { pointer: '/steps/0/if', code: 'expression.not_binding', message: expect.any(String), line: 2, column: 28 },
    ]);
  });
});
