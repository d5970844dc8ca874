import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from './reading/parse-workflow.js';

const parsed = (yaml: string) => parseWorkflow(yaml, testSteps);

function warningsOf(yaml: string) {
  const read = parsed(yaml);
  if (!read.ok) throw new Error(read.problems.map(({ line, detail }) => `${line}: ${detail}`).join('\n'));
  return read.warnings();
}

const pushed = (step: string) =>
  `name: x\ntriggers: [{ type: event, event: git.push }]\nsteps:\n  - { id: a, uses: call, with: { to: x } }\n  - ${step}\n`;

describe('an expression of a workflow that is allowed and probably not meant has a warning, at its place in the text', () => {
  it.each([
    [
      'a ! that holds for the first name alone',
      "name: x\ntriggers: [{ type: manual, inputs: { a: { type: boolean } } }]\nsteps: [{ uses: echo, if: '!inputs.a', with: { value: 1 } }]\n",
      { code: 'expression.not_binding', pointer: '/steps/0/if', line: 3, column: 28 },
      /parentheses/,
    ],
    [
      'a field that the event does not have, in a template',
      pushed('{ uses: echo, with: { value: "on ${{ event.data.brnach }}" } }'),
      { code: 'expression.unknown_field', pointer: '/steps/1/with/value', line: 5, column: 53 },
      /no field brnach here\. Did you mean "branch"/,
    ],
    [
      'a field that the items of a list do not have',
      pushed('{ uses: echo, with: { value: "${{ event.data.commits[].mesage }}" } }'),
      { code: 'expression.unknown_field', pointer: '/steps/1/with/value', line: 5, column: 60 },
      /Did you mean "message"/,
    ],
    [
      'what no step has',
      pushed('{ uses: echo, if: steps.a.ouput.status, with: { value: 1 } }'),
      { code: 'expression.unknown_field', pointer: '/steps/1/if', line: 5, column: 31 },
      /no field ouput here\. Did you mean "output"\? Fields: status, output, error\./,
    ],
    [
      'a field that the output of a step does not have',
      pushed('{ uses: echo, with: { value: "${{ steps.a.output.staus }}" } }'),
      { code: 'expression.unknown_field', pointer: '/steps/1/with/value', line: 5, column: 54 },
      /Did you mean "status"/,
    ],
    [
      'a field that a run does not have, in the outputs',
      pushed('{ uses: echo, with: { value: 1 } }\noutputs: { o: "${{ run.idd }}" }'),
      { code: 'expression.unknown_field', pointer: '/outputs/o', line: 6, column: 24 },
      /Did you mean "id"/,
    ],
    [
      'a field that an error does not have, in onFailure',
      pushed('{ uses: echo, with: { value: 1 } }\nonFailure: [{ uses: echo, with: { value: "${{ error.mesage }}" } }]'),
      { code: 'expression.unknown_field', pointer: '/onFailure/0/with/value', line: 6, column: 53 },
      /Did you mean "message"/,
    ],
    [
      'a field that the event does not have, in when',
      "name: x\ntriggers:\n  - type: event\n    event: git.push\n    when: |-\n      data.forced &&\n      data.brnach == 'main'\nsteps: [{ wait: { for: 1s } }]\n",
      { code: 'expression.unknown_field', pointer: '/triggers/0/when', line: 7, column: 12 },
      /Did you mean "branch"/,
    ],
    [
      'an event within when',
      "name: x\ntriggers:\n  - { type: event, event: git.push, when: event.data.brnach == 'a' }\nsteps: [{ wait: { for: 1s } }]\n",
      { code: 'expression.unknown_field', pointer: '/triggers/0/when', line: 3, column: 54 },
      /Did you mean "branch"/,
    ],
    [
      'a list of a loop',
      pushed('{ forEach: "${{ event.data.comits }}", steps: [{ uses: echo, with: { value: "${{ item.x }}" } }] }'),
      { code: 'expression.unknown_field', pointer: '/steps/1/forEach', line: 5, column: 32 },
      /Did you mean "commits"/,
    ],
  ])('%s', (_, yaml, place, detail) => {
    expect(warningsOf(yaml)).toEqual([{ ...place, detail: expect.stringMatching(detail) }]);
  });

  it('unless it can be right', () => {
    const yaml = `
name: x
triggers:
  - { type: event, event: [git.push, "pr.*"], when: "!(data.deleted) && event.data.branch == 'main'" }
  - { type: manual, inputs: { items: { type: string, default: a } } }
steps:
  - { id: a, uses: call, with: { to: "\${{ event.data.branch }}" }, onError: continue }
  - { id: any, uses: echo, with: { value: { deep: 1 } } }
  - { uses: echo, if: "steps.a.status == 'failed'", with: { value: "\${{ [steps.a.error.message, steps.any.output.deep.er] }}" } }
  - { uses: echo, with: { value: "\${{ event.data.pullRequest.title }} \${{ inputs.items }} \${{ settings.retrySchedule[0] }}" } }
`;
    expect(warningsOf(yaml)).toEqual([]);
  });

  it('and what was meant by a name that is never there is said', () => {
    const firstOf = (step: string) => {
      const read = parsed(pushed(step));
      return read.ok ? undefined : read.problems[0];
    };
    const value = (expression: string) => firstOf(`{ uses: echo, with: { value: '\${{ ${expression} }}' } }`)?.detail;
    expect(value('data.branch')).toContain('"data" is not in scope here. Did you mean "event.data"? ');
    expect(value('branch')).toContain('Did you mean "event.data.branch"? ');
    expect(value('event.data.forced == true')).toContain('Write the value in backticks: `true`. ');
    expect(value('event.data.branch == "main"')).toContain("Write a text in single quotes: 'main'. ");
  });

  it('has its warnings beside the errors of other parts', () => {
    const read = parsed(pushed('{ uses: echo, with: { value: "${{ event.data.brnach }}" }, retries: 3 }'));
    expect(read.ok ? [] : read.problems).toMatchObject([{ pointer: '/steps/1/retries' }]);
    expect(read.warnings()).toMatchObject([{ code: 'expression.unknown_field', pointer: '/steps/1/with/value' }]);
  });

  it('is checked without ever throwing, whatever it is', () => {
    const part = fc.constantFrom(
      'event', 'data', 'steps', '.', 'a', 'output', '[]', '[*]', '!', '(', ')', '|', '||', "'x'", '"x"', '`1`', '==', '@', '&',
      'length(', 'sort_by(', '*', '{a: ', '}', ',', '[?', ']', ' ',
    ); // prettier-ignore
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const read = parsed(
          JSON.stringify({ name: 'x', steps: [{ uses: 'echo', if: parts.join(''), with: { value: 1 } }] }),
        );
        return read.warnings().every(({ line, column }) => line === 1 && column >= 1);
      }),
    );
  });
});

describe('a source', () => {
  const source = (name: string) =>
    `name: x\ntriggers: [{ type: event, event: git.push, source: ${name} }]\nsteps: [{ wait: { for: 1s } }]\n`;

  it.each(['GitHub', 'githbu', '[gitlab, GitHub]'])('%s that no integration has has a warning', (name) => {
    expect(warningsOf(source(name))).toEqual([
      expect.objectContaining({
        code: 'workflow.unlikely_source',
        line: 2,
        detail: expect.stringContaining('Did you mean "github"? '),
      }),
    ]);
  });

  it.each(['github', '"*"', '"git*"', 'api', 'billing'])('%s has none', (name) => {
    expect(warningsOf(source(name))).toEqual([]);
  });
});
