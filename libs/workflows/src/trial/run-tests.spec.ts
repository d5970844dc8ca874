import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';

import { readYaml } from '#libs/yaml/src/read-yaml.js';

import { testSteps } from '../../testing/library.js';
import { runTests, type TestResult } from './run-tests.js';
import { formatSpan, parseSpan } from './spans.js';
import { workflowTestSchema } from './test-shape.js';

const shipped = (ending: string): string =>
  readFileSync(new URL(`../../../../workflows/retry-failed-webhooks${ending}`, import.meta.url), 'utf8');

const WORKFLOW = `
name: deploy
triggers:
  - { type: event, event: git.push, source: github, when: data.branch == 'main' }
  - { type: manual, inputs: { to: { type: select, options: [staging, production], default: staging } } }
steps:
  - id: fetch
    uses: call
    with: { to: 'x-\${{ inputs.to }}' }
    timeout: 1m
    retry: { maxAttempts: 3, delay: 10s, backoff: fixed, jitter: false }
  - id: nap
    if: steps.fetch.output.status == \`200\`
    wait: { for: 2h }
  - id: tell
    uses: emit
    with: { type: webhook.exhausted, data: { deliveryId: d, attempts: 1 } }
outputs: { status: '\${{ steps.fetch.output.status }}' }
`;

function ran(test: string): TestResult {
  const run = runTests(WORKFLOW, `tests:\n  - name: one\n${test.replaceAll(/^/gm, '    ')}`, testSteps);
  if (!run.ok) throw new Error(run.problems.map(({ line, detail }) => `line ${line}: ${detail}`).join('\n'));
  return run.results[0]!;
}
const problems = (tests: string) => {
  const run = runTests(WORKFLOW, tests, testSteps);
  return run.ok ? [] : run.problems.map(({ line, column, detail }) => `${line}:${column} ${detail}`);
};

describe('the tests of the shipped workflow', () => {
  it('pass: 26 hours of retries', () => {
    const run = runTests(shipped('.yaml'), shipped('.test.yaml'), testSteps);
    expect(run).toMatchObject({ ok: true, workflow: 'retry-failed-webhooks' });
    if (run.ok)
      expect(
        run.results.map(({ name, failures }) => ({ name, failures })).filter(({ failures }) => failures.length > 0),
      ).toEqual([]);
    expect(run.ok && run.results[0]!.virtualMs).toBe(parseSpan('26h36m'));
  });
});

describe('a test', () => {
  it('passes where everything is as expected', () => {
    const result = ran(`inputs: { to: production }
mocks: { fetch: { output: { status: 200 }, delay: 5s } }
expect:
  status: completed
  outputs: { status: 200 }
  steps: [{ id: fetch, with: { to: x-production }, output: { status: 200 }, attempts: 1 }, { id: nap }, { id: tell }]
  only: true
  events: [{ type: workflow.started }, { type: webhook.exhausted, data: { attempts: 1 } }]
  time: 2h5s`);
    expect(result).toEqual({ name: 'one', passed: true, failures: [], virtualMs: 7_205_000 });
  });

  it('shows each difference at its place', () => {
    const { failures } = ran(`inputs: {}
mocks: { fetch: { output: { status: 200 } } }
expect:
  outputs: { status: 201 }
  steps: [{ id: tell }, { id: nap }]
  events: [{ type: webhook.exhausted, data: { attempts: 2 } }]
  time: 1h`);
    expect(failures).toEqual([
      { what: 'expect.outputs.status', expected: '201', seen: '200', line: 6, column: 18 },
      { what: 'expect.steps.1', expected: '{"id":"nap"}', seen: 'nothing more', line: 7, column: 29 },
      {
        what: 'expect.events.0',
        expected: '{"type":"webhook.exhausted","data":{"attempts":2}}',
        seen: '{"type":"webhook.exhausted","data":{"deliveryId":"d","attempts":1}}',
        line: 8,
        column: 16,
      },
      { what: 'expect.time', expected: '1h', seen: '2h', line: 9, column: 7 },
    ]);
  });

  it('says why a run failed that should not have', () => {
    const { failures } = ran(`inputs: {}
mocks: { fetch: { error: { code: call.gone, message: It is gone., retryable: false } } }
expect: { status: completed }`);
    expect(failures.map(({ expected, seen }) => [expected, seen])).toEqual([
      ['"completed"', '"failed"'],
      ['no failure', 'call.gone in fetch: It is gone.'],
    ]);
  });

  it('forbids other steps with only', () => {
    const { failures } = ran(`inputs: {}
mocks: { fetch: {} }
expect: { steps: [{ id: fetch }, { id: tell }], only: true }`);
    expect(failures).toMatchObject([{ expected: 'no others', seen: 'nap skipped' }]);
  });

  it('gives one answer a call, and the last one again', () => {
    const result = ran(`inputs: {}
mocks: { fetch: [{ error: { code: a } }, { error: { code: b } }] }
expect: { status: failed, error: { code: b, path: fetch }, steps: [{ id: fetch, status: failed, attempts: 3 }], time: 20s }`);
    expect(result.failures).toEqual([]);
  });

  it('lets an answer come too late', () => {
    const result = ran(`inputs: {}
mocks: { fetch: [{ delay: 2m, output: { status: 1 } }, { delay: 30s, output: { status: 2 } }] }
expect: { status: completed, outputs: { status: 2 }, time: 1m40s }`);
    expect(result.failures).toEqual([]);
  });

  it('names a step that has an effect and no mock', () => {
    const { failures } = ran('inputs: {}\nexpect: { status: completed }');
    expect(failures).toMatchObject([{ line: 2, what: expect.stringContaining('"fetch" has an effect and no mock') }]);
  });

  it('starts by an event that a trigger fits, and not by another', () => {
    const push = (branch: string, status: string) =>
      ran(
        `event: { type: git.push, data: { branch: ${branch} } }\nmocks: { fetch: {} }\nexpect: { status: ${status} }`,
      );
    expect(push('main', 'completed').failures).toEqual([]);
    expect(push('dev', 'not_started').failures).toEqual([]);
    expect(push('dev', 'completed').failures).toMatchObject([
      { line: 3, what: expect.stringContaining('No trigger fits') },
    ]);
    expect(push('main', 'not_started').failures).toMatchObject([{ what: 'expect.status' }]);
  });

  it('starts at a tick of a schedule, and runs what finally says', () => {
    const workflow = `name: nightly
triggers: [{ type: schedule, cron: '0 9 * * *' }]
steps: [{ id: ask, uses: call, with: { to: '\${{ event.data.at }}' } }]
finally: [{ id: tidy, uses: call, with: { to: x } }]
`;
    const tests = `tests:
  - name: one
    now: 2026-11-20T09:00:00Z
    mocks: { ask: { error: { type: communication, code: c, message: m } }, tidy: { delay: 5s } }
    expect:
      status: failed
      error: { type: communication, code: c }
      steps: [{ id: ask, status: failed, with: { to: 2026-11-20T09:00:00.000Z } }, { id: tidy, status: completed }]
      time: 5s
`;
    const run = runTests(workflow, tests, testSteps);
    expect(run.ok && run.results).toMatchObject([{ failures: [] }]);
  });

  it('gives events to the steps that wait, also those that came before', () => {
    const workflow = `name: ask
triggers: [{ type: event, event: pr.opened }]
steps:
  - { id: nap, wait: { for: 1h } }
  - { id: first, waitForEvent: { event: comment.created, when: 'data.issue.number == event.data.number', timeout: 1d } }
  - { id: second, waitForEvent: { event: comment.created, timeout: 1d, onTimeout: continue } }
outputs: { first: '\${{ steps.first.output.data.body }}', late: '\${{ steps.second.output.timedOut }}' }
`;
    const tests = (second: string) => `tests:
  - name: one
    event: { type: pr.opened, data: { number: 7 } }
    events:
      - { at: 1m, type: comment.created, data: { body: other, issue: { number: 8 } } }
      - { at: 10m, type: comment.created, data: { body: mine, issue: { number: 7 } } }
    expect: ${second}
`;
    const result = (expected: string) => {
      const run = runTests(workflow, tests(expected), testSteps);
      return run.ok ? run.results[0]!.failures : run.problems;
    };
    expect(result('{ status: completed, outputs: { first: mine, late: false }, time: 1h }')).toEqual([]);
    expect(result('{ time: 2h }')).toHaveLength(1);
  });

  it('checks inputs as the platform does', () => {
    const { failures } = ran('inputs: { to: mars }\nexpect: { status: completed }');
    expect(failures).toEqual([{ what: 'Must be one of staging, production.', line: 3, column: 15 }]);
  });

  it('refuses mocks of steps that have no effect, or do not exist', () => {
    const mocked = (id: string) => ran(`inputs: {}\nmocks: { ${id}: {} }\nexpect: { status: completed }`).failures;
    expect(mocked('tell')).toMatchObject([{ line: 4, column: 14, what: expect.stringContaining('cannot be mocked') }]);
    expect(mocked('fetsch')).toMatchObject([{ what: expect.stringContaining('Did you mean "fetch"?') }]);
  });
});

describe('a test file', () => {
  it('names everything that is wrong with line and column', () => {
    expect(problems('tests:\n  - nam: x\n    expect: {}\n  - { name: y, expect: { time: soon } }\n')).toEqual([
      expect.stringMatching(/^2:5 .*Did you mean "name"/),
      expect.stringMatching(/^3:13 .*at least one of status/),
      expect.stringMatching(/^4:32 .*a duration such as 10m or 26h36m/),
    ]);
    expect(problems('tests: [')).toEqual([expect.stringMatching(/^1:/)]);
    expect(
      problems('tests: [{ name: x, expect: { status: failed }, mocks: { fetch: { output: 1, error: { code: c } } } }]'),
    ).toEqual([expect.stringContaining('not both')]);
  });

  it('fits its JSON Schema, which refuses what the reader refuses', () => {
    const ajv = new Ajv({ strict: false });
    (addFormats as unknown as (to: Ajv) => void)(ajv);
    const validate = ajv.compile(workflowTestSchema());
    const read = readYaml(shipped('.test.yaml'), { maxBytes: 1e6, maxDepth: 64, maxValues: 1e5 });
    expect('document' in read && validate(read.document.value)).toBe(true);
    expect(validate({ tests: [{ name: 'x', expect: {} }] })).toBe(false);
    expect(JSON.stringify(workflowTestSchema())).not.toMatch(/"(inEditors|expected)":/);
  });

  it.each([
    ['26h36m', 95_760_000],
    ['5d', 432_000_000],
    ['2h5s', 7_205_000],
    ['0s', 0],
    ['250ms', 250],
  ])('writes %s as it reads it', (text, milliseconds) => {
    expect(parseSpan(text)).toBe(milliseconds);
    expect(formatSpan(milliseconds)).toBe(text);
  });
});

describe('secrets of a test', () => {
  const workflow = `
name: x
triggers: [{ type: manual }]
steps:
  - { id: ask, uses: call, with: { to: 'https://x/\${{ secrets.KEY }}' } }
`;
  const failuresOf = (test: string) => {
    const run = runTests(workflow, `tests:\n  - { name: one, inputs: {}, ${test} }\n`, testSteps);
    if (!run.ok) return run.problems.map(({ line, column, detail }) => `${line}:${column} ${detail}`);
    return run.results[0]!.failures.map(({ what, seen = '' }) => `${what} ${seen}`);
  };

  it('are masked in what mocks answer, and their names show in inputs', () => {
    expect(
      failuresOf(
        "secrets: { KEY: test-value }, mocks: { ask: { output: 'got test-value' } }, expect: { status: completed, steps: [{ id: ask, output: 'got ***', with: { to: 'https://x/\${{ secrets.KEY }}' } }] }",
      ),
    ).toEqual([]);
  });

  it('fail the step that uses another one', () => {
    expect(failuresOf('mocks: { ask: {} }, expect: { status: failed, error: { code: secret.unknown } }')).toEqual([]);
    expect(failuresOf('mocks: { ask: {} }, expect: { status: completed }')[0]).toContain('expect.status');
  });

  it('have names as secrets have', () => {
    expect(failuresOf('secrets: { key: test }, expect: { status: completed }')[0]).toMatch(/^2:\d+ /);
  });
});

describe('a step that requests something again', () => {
  const workflow = `
name: x
triggers: [{ type: manual }]
steps:
  - { id: go, uses: workflow, with: { workflow: other }, timeout: 1m, retry: { maxAttempts: 3, delay: 1m, jitter: false } }
outputs: { go: "\${{ steps.go.output }}" }
`;
  const failuresOf = (test: string) => {
    const run = runTests(workflow, `tests:\n  - { name: one, inputs: {}, ${test} }\n`, testSteps);
    if (!run.ok) throw new Error(JSON.stringify(run.problems));
    return run.results[0]!.failures;
  };

  it('has one mock for each attempt', () => {
    const error = '{ error: { code: other.failed } }';
    expect(
      failuresOf(`mocks: { go: [${error}, ${error}, { output: 3 }] }, expect: { outputs: { go: 3 }, time: 3m }`),
    ).toEqual([]);
    expect(failuresOf(`mocks: { go: ${error} }, expect: { error: { code: other.failed }, time: 3m }`)).toEqual([]);
  });

  it('does not hear the mock of an attempt that took too long', () => {
    const slow = '{ output: 1, delay: 90s }';
    expect(failuresOf(`mocks: { go: [${slow}, { output: 2 }] }, expect: { outputs: { go: 2 }, time: 2m }`)).toEqual([]);
    expect(failuresOf(`mocks: { go: ${slow} }, expect: { error: { code: step.timeout }, time: 6m }`)).toEqual([]);
  });
});
