import { describe, expect, it } from '@jest/globals';

import { NOTHING_KNOWN } from '#libs/vocabulary/src/vocabulary.js';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from './reading/parse-workflow.js';

const parsed = (rest: string, secrets?: readonly string[]) => {
  const { keywords, named, triggers, sources } = testSteps;
  const organisation = secrets && { ...NOTHING_KNOWN, secrets: secrets.map((name) => ({ name })) };
  return parseWorkflow(`name: x\n${rest}`, {
    keywords,
    named,
    triggers,
    sources,
    ...(organisation && { organisation }),
  });
};
const problemsOf = (rest: string) => {
  const found = parsed(rest);
  return found.ok ? [] : found.problems.map(({ code, line, column }) => `${line}:${column} ${code}`);
};
const warningsOf = (rest: string, secrets?: readonly string[]) => {
  const found = parsed(rest, secrets);
  if (!found.ok) throw new Error(found.problems[0]!.detail);
  return found.warnings().map(({ line, column, code }) => `${line}:${column} ${code}`);
};
const steps = (step: string) => `steps:\n  - ${step}\n`;

describe('secrets in a workflow', () => {
  it('may stand in "with" of steps that send it out, alone or in a text', () => {
    const found = parsed(
      steps("{ uses: call, with: { to: 'https://x/${{ secrets.A }}?b=${{secrets.B_2}}' } }") +
        "  - { uses: send_webhook, with: { url: '${{ secrets.A }}', payload: { a: ['${{ secrets.C }}'] } } }\n",
    );
    expect(found.ok && found.definition.secrets).toEqual(['A', 'B_2', 'C']);
    expect(found.ok && found.warnings()).toEqual([]);
  });

  const NOT_HERE = 'workflow.secret_not_allowed';
  it.each([
    ["{ uses: echo, with: { value: '${{ secrets.A }}' } }", '3:34'],
    ['{ uses: compute, with: { expression: secrets.A } }', '3:42'],
    ["{ uses: set, with: { a: '${{ secrets.A }}' } }", '3:29'],
    ["{ uses: create_issue, with: { title: '${{ secrets.A }}' } }", '3:42'],
    ["{ uses: emit, with: { type: webhook.exhausted, subject: '${{ secrets.A }}' } }", '3:61'],
    ["{ uses: workflow, with: { workflow: y, inputs: { a: '${{ secrets.A }}' } } }", '3:57'],
    ["{ uses: call, if: 'secrets.A', with: { to: x } }", '3:23'],
    ["{ uses: call, with: { to: x }, retry: { when: 'secrets.A' } }", '3:51'],
    ["{ forEach: '${{ secrets.A }}', steps: [{ uses: call, with: { to: x } }] }", '3:16'],
    ["{ approval: { title: '${{ secrets.A }}' } }", '3:26'],
  ])('are refused where they would be kept: %s', (step, place) => {
    expect(problemsOf(steps(step))).toContain(`${place} ${NOT_HERE}`);
  });

  it('are refused in outputs', () => {
    expect(problemsOf(`${steps('{ uses: call, with: { to: x } }')}outputs: { a: '\${{ secrets.A }}' }\n`)).toEqual([
      `4:15 ${NOT_HERE}`,
    ]);
  });

  it.each(["secrets.A || 'x'", 'length(secrets.A)', 'secrets', 'secrets.lower', 'secrets."A"', 'secrets.A.b'])(
    'are refused within an expression: %s',
    (expression) => {
      expect(problemsOf(`steps:\n  - uses: call\n    with:\n      to: >-\n        \${{ ${expression} }}\n`)).toEqual([
        '6:1 workflow.secret_in_expression',
      ]);
    },
  );

  it('that do not exist are warned about, with a suggestion, where it is known which there are', () => {
    const source = steps("{ uses: call, with: { to: '${{ secrets.API_KEI }}' } }");
    expect(warningsOf(source, ['API_KEY'])).toEqual(['3:32 secret.unknown']);
    const found = parsed(source, ['API_KEY']);
    expect(found.ok && found.warnings()[0]!.detail).toContain('Did you mean "API_KEY"?');
    expect(warningsOf(source, ['API_KEI'])).toEqual([]);
    expect(warningsOf(source)).toEqual([]);
  });
});

describe('a credential that is written in a workflow', () => {
  const http = (input: string) => steps(`{ uses: send_webhook, with: ${input} }`);
  it.each([
    ["{ url: 'https://x', payload: { headers: { Authorization: 'Bearer abc' } } }", '3:91'],
    ["{ url: 'https://x', payload: { headers: { X-Api-Key: abc } } }", '3:86'],
    ["{ url: 'https://user:pass@x.example' }", '3:41'],
    ["{ url: 'https://x', payload: 'token xoxb-1234567890-abcdef' }", '3:69'],
    ["{ url: 'https://x', payload: [ghp_0123456789abcdefghij0123456789abcdef] }", '3:63'],
    ["{ url: 'https://x', payload: glpat-0123456789abcdefghij }", '3:62'],
    ["{ url: 'https://x', payload: sk-0123456789abcdefghij }", '3:62'],
    ["{ url: 'https://x', payload: AKIA0123456789ABCDEF }", '3:62'],
  ])('is warned about at its place: %s', (input, place) => {
    expect(warningsOf(http(input))).toEqual([`${place} workflow.literal_credential`]);
  });

  it.each([
    "{ url: 'https://x', payload: { headers: { Authorization: 'Bearer ${{ secrets.A }}' } } }",
    "{ url: 'https://user:${{ secrets.A }}@x.example' }",
    "{ url: 'https://x:8080/a@b', payload: 'task-0123456789abcdefghijkl' }",
  ])('is none where nothing is given away: %s', (input) => {
    expect(warningsOf(http(input))).toEqual([]);
  });
});
