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
    expect(checkedSource(source, testSteps).warnings).toEqual([
      { pointer: '/steps/0/if', code: 'expression.not_binding', message: expect.any(String), line: 2, column: 28 },
    ]);
  });

  it.each([
    ['workflow.failed', '*', false, true],
    ['run.*', '*', false, true],
    ['webhook.exhausted', '*', false, true],
    ['*', '*', false, false],
    ['workflow.failed', 'github', false, false],
    ['git.push', '*', false, false],
    ['workflow.failed', '*', true, false],
  ])(
    'is warned where it listens to what its runs lead to: %s from %s, allowed %s: %s',
    (type, source, allows, warns) => {
      const trigger = `{ type: event, event: "${type}", source: "${source}" }`;
      const emit = '{ uses: emit, with: { type: webhook.exhausted, data: { deliveryId: d, attempts: 1 } } }';
      const text = `name: x\nallowRecursion: ${allows}\ntriggers: [${trigger}]\nsteps: [${emit}]\n`;
      const own = checkedSource(text, testSteps).warnings.filter(({ code }) => code === 'workflow.hears_itself');
      expect(own).toHaveLength(warns ? 1 : 0);
      if (warns) expect(own[0]).toMatchObject({ pointer: '/triggers/0/event', line: 3 });
    },
  );
});
