import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { testSteps } from '../../../testing/library.js';
import { parseWorkflow } from './parse-workflow.js';

const problemsOf = (source: string) => {
  const parsed = parseWorkflow(source, testSteps);
  return parsed.ok ? [] : parsed.problems;
};
const firstOf = (source: string) => problemsOf(source)[0];

const KEYWORDS = ['uses', ...testSteps.keywords.map(({ name }) => name)].join(', ');

/** A workflow whose steps begin in line 2. */
const withSteps = (steps: string) => `name: x\nsteps:\n${steps}`;

describe('a workflow that is right', () => {
  it('is read with everything in it', () => {
    const parsed = parseWorkflow(
      `
name: everything
description: All that the language has.
triggers:
  - type: event
    event: [git.push, "pr.*"]
    source: github
    branches: main
    paths: ["src/**"]
    when: data.forced == \`false\`
  - type: manual
    inputs:
      environment: { type: select, options: [staging, production], default: staging }
timeout: 3d
steps:
  - id: fetch
    name: Fetch it
    if: inputs.environment == 'staging'
    uses: call
    with: { to: "https://\${{ event.data.host }}", times: "\${{ inputs.environment }}" }
    retry: { maxAttempts: 5, delay: 10s, backoff: fixed, maxDelay: 5m, jitter: false }
    timeout: 30s
    onError: continue
  - id: decide
    switch:
      - if: steps.fetch.output.status == \`410\`
        steps: [{ id: gone, uses: echo, with: { value: gone } }]
      - else: true
        steps: [{ uses: echo, with: { value: 1 } }]
  - id: each
    forEach: "\${{ event.data.items }}"
    concurrency: 4
    until: steps.inner.output == \`3\`
    steps: [{ id: inner, uses: echo, with: { value: "\${{ item }}" } }]
  - { wait: { for: 5m } }
  - { id: later, wait: { until: "2026-11-20T09:00:00Z" } }
  - uses: compute
    with: { expression: "length(steps.each.output.results)" }
  - uses: emit
    with: { type: webhook.exhausted, data: { deliveryId: x, attempts: 6 } }
  - uses: redeliver_webhook
    with: { delivery: "\${{ event.data.deliveryId }}", after: 1m }
onFailure:
  - uses: echo
    with: { value: "\${{ error.message }}" }
outputs: { status: "\${{ steps.gone.output }}" }
`,
      testSteps,
    );
    expect(parsed).toMatchObject({ ok: true });
    if (!parsed.ok) return;
    const { definition } = parsed;
    expect(definition.triggers).toMatchObject([
      { type: 'event', event: ['git.push', 'pr.*'], source: ['github'], branches: ['main'], paths: ['src/**'] },
      { type: 'manual', inputs: { environment: { default: 'staging' } } },
    ]);
    expect(definition.timeoutMs).toBe(3 * 86_400_000);
    expect(definition.steps.map((step) => [step.id, step.kind])).toEqual([
      ['fetch', 'effect'],
      ['decide', 'switch'],
      ['each', 'forEach'],
      ['wait_1', 'wait'],
      ['later', 'wait'],
      ['compute_1', 'pure'],
      ['emit_1', 'emit'],
      ['redeliver_webhook_1', 'redeliver_webhook'],
    ]);
    expect(definition.steps[0]).toMatchObject({
      timeoutMs: 30_000,
      onError: 'continue',
      retry: { maxAttempts: 5, delayMs: 10_000, backoff: 'fixed', maxDelayMs: 300_000, jitter: false },
    });
  });

  it('gives steps without an id one that no other step has', () => {
    const parsed = parseWorkflow(
      withSteps('  - { uses: echo, with: { value: 1 } }\n  - { id: echo_1, uses: echo, with: { value: 2 } }\n'),
      testSteps,
    );
    expect(parsed.ok && parsed.definition.steps.map((step) => step.id)).toEqual(['echo_2', 'echo_1']);
  });
});

describe('a mistake is named with its place, what is allowed, and what was probably meant', () => {
  it.each([
    [
      'an unknown step',
      withSteps('  - id: a\n    uses: ecko\n    with: { value: 1 }\n'),
      { code: 'workflow.unknown_step_kind', pointer: '/steps/0/uses', line: 4, column: 11 },
      `There is no step "ecko". Did you mean "echo"? Steps: ${[...testSteps.named.keys()].sort().join(', ')}.`,
    ],
    [
      'a duplicate id',
      withSteps('  - { id: a, uses: echo, with: { value: 1 } }\n  - { id: a, uses: echo, with: { value: 1 } }\n'),
      { code: 'workflow.duplicate_id', pointer: '/steps/1/id', line: 4, column: 11 },
      'Another step has the id "a". Ids must be unique in a workflow.',
    ],
    [
      'an id that a step inside a loop has',
      withSteps(
        '  - { id: a, uses: echo, with: { value: 1 } }\n  - forEach: [1]\n    steps:\n      - { id: a, uses: echo, with: { value: 1 } }\n',
      ),
      { code: 'workflow.duplicate_id', pointer: '/steps/1/steps/0/id', line: 6, column: 15 },
      'Another step has the id "a". Ids must be unique in a workflow.',
    ],
    [
      'an unknown key',
      withSteps('  - id: a\n    uses: echo\n    wiht: { value: 1 }\n    with: { value: 1 }\n'),
      { code: 'workflow.unknown_key', pointer: '/steps/0/wiht', line: 5, column: 5 },
      'Unknown key "wiht". Did you mean "with"? Allowed: id, name, disabled, if, timeout, onError, uses, with, retry.',
    ],
    [
      'an unknown key that is a word of a known one',
      withSteps('  - uses: echo\n    with: { value: 1 }\n    retry: { attempts: 3 }\n'),
      { code: 'workflow.unknown_key', pointer: '/steps/0/retry/attempts', line: 5, column: 14 },
      'Unknown key "attempts". Did you mean "maxAttempts"? Allowed: maxAttempts, delay, backoff, maxDelay, when, exceptWhen, jitter.',
    ],
    [
      'a step that does nothing',
      withSteps('  - id: a\n    name: idle\n'),
      { code: 'workflow.missing_key', pointer: '/steps/0', line: 3, column: 5 },
      `A step must have one of ${KEYWORDS}.`,
    ],
    [
      'a step of two kinds',
      withSteps('  - id: a\n    uses: echo\n    wait: { for: 1s }\n'),
      { code: 'workflow.bad_value', pointer: '/steps/0', line: 3, column: 5 },
      `A step must have one of ${KEYWORDS}; this one has uses and wait.`,
    ],
    [
      'a duration without a unit',
      withSteps('  - id: a\n    uses: echo\n    with: { value: 1 }\n    timeout: 30\n'),
      { code: 'workflow.bad_value', pointer: '/steps/0/timeout', line: 6, column: 14 },
      'Must be a duration of at most 366d: a whole number and ms, s, m, h or d, such as 30s, 5m or 2d. Got 30.',
    ],
    [
      'a wait without a time',
      withSteps('  - wait: { for: soon }\n'),
      { code: 'workflow.bad_value', pointer: '/steps/0/wait/for', line: 3, column: 18 },
      'Must be a duration of at most 366d: a whole number and ms, s, m, h or d, such as 30s, 5m or 2d. Got "soon".',
    ],
    [
      'an expression that does not parse',
      withSteps('  - id: a\n    if: "data.x =="\n    uses: echo\n    with: { value: 1 }\n'),
      { code: 'expression.malformed', pointer: '/steps/0/if', line: 4, column: 9 },
      undefined,
    ],
    [
      'a template that never ends',
      withSteps('  - uses: echo\n    with:\n      value:\n        - "${{ inputs.x"\n'),
      { code: 'expression.malformed', pointer: '/steps/0/with/value/0', line: 6, column: 11 },
      undefined,
    ],
    [
      'a step that comes later',
      withSteps(
        '  - { id: a, uses: echo, with: { value: "${{ steps.b.output }}" } }\n  - { id: b, uses: echo, with: { value: 1 } }\n',
      ),
      { code: 'workflow.unknown_step', pointer: '/steps/0/with/value', line: 3, column: 41 },
      'The step "b" runs later, or inside a loop. There is no earlier step.',
    ],
    [
      'a step that is inside a loop',
      withSteps(
        '  - forEach: [1]\n    steps:\n      - { id: inner, uses: echo, with: { value: 1 } }\n  - { uses: echo, with: { value: "${{ steps.inner.output }}" } }\n',
      ),
      { code: 'workflow.unknown_step', pointer: '/steps/1/with/value', line: 6, column: 34 },
      'The step "inner" runs later, or inside a loop. Earlier steps: forEach_1.',
    ],
    [
      'a step that does not exist',
      withSteps(
        '  - { id: fetch, uses: echo, with: { value: 1 } }\n  - { uses: echo, with: { value: "${{ steps.fecth.output }}" } }\n',
      ),
      { code: 'workflow.unknown_step', pointer: '/steps/1/with/value', line: 4, column: 34 },
      'There is no step "fecth". Did you mean "fetch"? Earlier steps: fetch.',
    ],
    [
      'a name that is not in scope',
      withSteps('  - { uses: echo, with: { value: "${{ evnt.data }}" } }\n'),
      { code: 'workflow.unknown_name', pointer: '/steps/0/with/value', line: 3, column: 34 },
      '"evnt" is not in scope here. Did you mean "event"? In scope: event, inputs, steps, vars, run, settings.',
    ],
    [
      'the error outside onFailure',
      withSteps('  - { uses: echo, with: { value: "${{ error.message }}" } }\n'),
      { code: 'workflow.unknown_name', pointer: '/steps/0/with/value', line: 3, column: 34 },
      undefined,
    ],
    [
      'an input that is not declared',
      'name: x\ntriggers: [{ type: manual, inputs: { place: { type: string } } }]\nsteps:\n  - { uses: echo, with: { value: "${{ inputs.plaec }}" } }\n',
      { code: 'workflow.unknown_name', pointer: '/steps/0/with/value', line: 4, column: 34 },
      'There is no input "plaec". Did you mean "place"? Inputs: place.',
    ],
    [
      'what a step is given and does not know',
      withSteps('  - uses: call\n    with:\n      to: x\n      tmies: 3\n'),
      { code: 'workflow.unknown_key', pointer: '/steps/0/with/tmies', line: 6, column: 7 },
      'Unknown key "tmies". Did you mean "times"? Allowed: to, times.',
    ],
    [
      'with, misspelt, and not what it has to say',
      withSteps('  - uses: call\n    wiht: { to: x }\n'),
      { code: 'workflow.unknown_key', pointer: '/steps/0/wiht', line: 4, column: 5 },
      undefined,
    ],
    [
      'what a step needs, misspelt',
      withSteps('  - uses: call\n    with: { too: x }\n'),
      { code: 'workflow.unknown_key', pointer: '/steps/0/with/too', line: 4, column: 13 },
      'Unknown key "too". Did you mean "to"? Allowed: to, times.',
    ],
    [
      'what a step needs and is not given',
      withSteps('  - id: a\n    uses: call\n'),
      { code: 'workflow.missing_key', pointer: '/steps/0', line: 3, column: 5 },
      '"to" is required.',
    ],
    [
      'a value of the wrong type',
      withSteps('  - uses: call\n    with: { to: x, times: often }\n'),
      { code: 'workflow.bad_value', pointer: '/steps/0/with/times', line: 4, column: 27 },
      'Must be a whole number. Got "often".',
    ],
    [
      'an event type that does not exist',
      'name: x\ntriggers:\n  - type: event\n    event: git.pusch\nsteps:\n  - wait: { for: 1s }\n',
      { code: 'workflow.unknown_event_type', pointer: '/triggers/0/event', line: 4, column: 12 },
      'No event type fits "git.pusch". Did you mean "git.push"? GET /api/v1/event-types lists them.',
    ],
    [
      'branches of a type that has none',
      'name: x\ntriggers:\n  - type: event\n    event: issue.created\n    branches: main\nsteps:\n  - wait: { for: 1s }\n',
      { code: 'workflow.bad_value', pointer: '/triggers/0/branches', line: 5, column: 5 },
      '"branches" must be used with git.push or pr.* only.',
    ],
    [
      'a default that is no option',
      'name: x\ntriggers:\n  - type: manual\n    inputs:\n      to: { type: select, options: [a, b], default: c }\nsteps:\n  - wait: { for: 1s }\n',
      { code: 'workflow.bad_value', pointer: '/triggers/0/inputs/to/default', line: 5, column: 53 },
      'Must be one of a, b.',
    ],
    [
      'an event that the platform records itself',
      withSteps('  - uses: emit\n    with: { type: token.created }\n'),
      { code: 'workflow.event_type_not_allowed', pointer: '/steps/0/with/type', line: 4, column: 19 },
      undefined,
    ],
    [
      'an outcome that only a delivery may record',
      withSteps('  - uses: emit\n    with: { type: webhook.delivered }\n'),
      { code: 'workflow.event_type_not_allowed', pointer: '/steps/0/with/type', line: 4, column: 19 },
      undefined,
    ],
    [
      'else before the last case',
      withSteps(
        '  - switch:\n      - else: true\n        steps: [{ wait: { for: 1s } }]\n      - if: true\n        steps: [{ wait: { for: 1s } }]\n',
      ),
      { code: 'workflow.bad_value', pointer: '/steps/0/switch/0', line: 4, column: 9 },
      '"else" must be the last case: later cases would never run.',
    ],
    [
      'a retry that looks at what is not there',
      withSteps('  - uses: echo\n    with: { value: 1 }\n    retry: { when: err.code }\n'),
      { code: 'workflow.unknown_name', pointer: '/steps/0/retry/when', line: 5, column: 20 },
      undefined,
    ],
    [
      'a finally without steps',
      `${withSteps('  - wait: { for: 1s }\n')}finally: { timeout: 5m }\n`,
      { code: 'workflow.missing_key', pointer: '/finally/steps', line: 4, column: 10 },
      undefined,
    ],
    [
      'a retry of something that has no attempts',
      withSteps('  - wait: { for: 1s }\n    retry: { maxAttempts: 2 }\n'),
      { code: 'workflow.unknown_key', pointer: '/steps/0/retry', line: 4, column: 5 },
      '"retry" must be used with "uses". To wait again, put the step into "while", with "onError: continue".',
    ],
    [
      'a URL that is none of the web',
      'name: x\nsteps:\n  - uses: send_webhook\n    with: { url: ftp://example.com/x }\n',
      { code: 'workflow.bad_value', pointer: '/steps/0/with/url', line: 4, column: 18 },
      'Must be an http or https URL, such as https://example.com/hook. Got "ftp://example.com/x".',
    ],
    [
      'a name that is no part of an address',
      'name: a b\nsteps:\n  - wait: { for: 1s }\n',
      { code: 'workflow.bad_value', pointer: '/name', line: 1, column: 7 },
      'Must be up to 100 letters, digits, ".", "_" and "-", beginning with a letter or digit. Got "a b".',
    ],
    [
      'no steps',
      'name: x\nsteps: []\n',
      { code: 'workflow.bad_value', pointer: '/steps', line: 2, column: 8 },
      'Must be a list of steps. Got an empty list.',
    ],
    [
      'steps that are left empty',
      'name: x\nsteps:\n',
      { code: 'workflow.bad_value', pointer: '/steps', line: 2, column: 1 },
      'Must be a list of steps. Got nothing.',
    ],
    [
      'nothing but a list',
      '- a\n',
      { code: 'workflow.bad_value', pointer: '', line: 1, column: 1 },
      'A workflow must be an object with at least "name" and "steps".',
    ],
  ])('%s', (_, source, place, detail) => {
    expect(firstOf(source)).toMatchObject(detail === undefined ? place : { ...place, detail });
  });

  it('names every mistake at once, in the order of the text', () => {
    const found = problemsOf(withSteps('  - uses: ecko\n  - id: 1a\n    wait: { for: x }\n  - uses: cal\n'));
    expect(found.map(({ pointer }) => pointer)).toEqual([
      '/steps/0/uses',
      '/steps/1/id',
      '/steps/1/wait/for',
      '/steps/2/uses',
    ]);
  });
});

describe('labels', () => {
  it('are texts by name', () => {
    const parsed = parseWorkflow(`labels: { team: payments }\n${withSteps('  - wait: { for: 1s }\n')}`, testSteps);
    expect(parsed).toMatchObject({ ok: true, definition: { labels: { team: 'payments' }, disabled: false } });
  });

  it('have names that fit, and one that does not is shown', () => {
    expect(firstOf(`labels:\n  "a b": x\n${withSteps('  - wait: { for: 1s }\n')}`)).toMatchObject({
      pointer: '/labels/a b',
      line: 2,
      column: 3,
      detail: expect.stringContaining('The name "a b" is invalid. Must be up to 20 texts by name'),
    });
  });
});

describe('a branch, a condition and a limit of control steps', () => {
  it.each([
    [
      'a branch that is no list of steps',
      '  - parallel:\n      - { step: x }\n',
      { pointer: '/steps/0/parallel/0/step', line: 4, column: 11, code: 'workflow.unknown_key' },
    ],
    [
      'a while without a limit',
      '  - while: { condition: true }\n    steps: [{ uses: echo, with: { value: 1 } }]\n',
      { pointer: '/steps/0/while/maxIterations', line: 3, column: 12, code: 'workflow.missing_key' },
    ],
    [
      'a condition that names what comes after the loop',
      '  - while: { condition: steps.b, maxIterations: 1 }\n    steps: [{ id: a, uses: echo, with: { value: 1 } }]\n  - { id: b, uses: echo, with: { value: 1 } }\n',
      { pointer: '/steps/0/while/condition', line: 3, column: 25, code: 'workflow.unknown_step' },
    ],
    [
      'a step that looks into another branch',
      '  - parallel:\n      - steps: [{ id: a, uses: echo, with: { value: 1 } }]\n      - steps: [{ uses: echo, with: { value: "${{ steps.a.output }}" } }]\n',
      { pointer: '/steps/0/parallel/1/steps/0/with/value', line: 5, code: 'workflow.unknown_step' },
    ],
  ])('%s is named with its place', (_, steps, problem) => {
    expect(firstOf(withSteps(steps))).toMatchObject(problem);
  });
});

describe('a limit of runs', () => {
  const limited = (text: string) =>
    parseWorkflow(`name: x\nconcurrency: ${text}\nsteps: [{ id: one, uses: echo, with: { value: 1 } }]\n`, testSteps);

  it('has defaults', () => {
    const parsed = limited('{}');
    expect(parsed.ok && parsed.definition.concurrency).toEqual({
      key: undefined,
      limit: 1,
      onConflict: 'queue',
      whileWaiting: 'hold',
      maxQueued: 100,
    });
  });

  it.each([
    ['{ limit: 0 }', { pointer: '/concurrency/limit', line: 2, column: 23 }],
    ['{ onConflict: wait }', { pointer: '/concurrency/onConflict', line: 2, column: 28 }],
    ['{ maxqueued: 3 }', { pointer: '/concurrency/maxqueued', detail: expect.stringContaining('maxQueued') }],
    ['{ key: "${{ steps.one.output }}" }', { pointer: '/concurrency/key', line: 2 }],
  ])('%s is named with its place', (text, problem) => {
    const parsed = limited(text);
    expect(parsed.ok ? [] : parsed.problems).toMatchObject([problem]);
  });
});

describe('a key that the language does not have', () => {
  it.each([
    ['at the top', 'name: x\nwhen: a\nenv: {}\nsteps:\n  - uses: ecko\n', ['/env', '/when', '/steps/0/uses']],
    [
      'of a step',
      withSteps('  - { workflow: x, uses: ecko }\n  - uses: cal\n'),
      ['/steps/0/workflow', '/steps/0/uses', '/steps/1/uses'],
    ],
    ['in place of a step', withSteps('  - { run: npm test }\n'), ['/steps/0/run']],
    [
      'as the type of a trigger',
      'name: x\ntriggers: [{ type: crn }]\nsteps:\n  - wait: { for: 1s }\n',
      ['/triggers/0/type'],
    ],
  ])('%s is named, and hides no other problem', (_, source, pointers) => {
    expect(problemsOf(source).map(({ pointer }) => pointer)).toEqual(expect.arrayContaining(pointers));
  });
});

describe('YAML', () => {
  it.each([
    ['is malformed', 'name: [x\nsteps: 1\n', 'yaml.malformed', 2, 1],
    ['is empty', '# later\n', 'yaml.empty', 1, 1],
    ['is an empty document', '---\n', 'yaml.empty', 1, 1],
    ['holds two workflows', 'name: x\nsteps: []\n---\nname: y\n', 'yaml.several_documents', 4, 1],
    ['is longer than 256 KiB', `name: x\ndescription: "${'a'.repeat(256 * 1024)}"\n`, 'yaml.too_large', 1, 1],
  ])('that %s is refused', (_, source, code, line, column) => {
    expect(problemsOf(source)).toEqual([expect.objectContaining({ code, line, column })]);
  });

  it('with aliases is a workflow', () => {
    const parsed = parseWorkflow(
      withSteps('  - { uses: call, with: &to { to: x } }\n  - { uses: call, with: *to }\n'),
      testSteps,
    );
    expect(parsed).toMatchObject({ ok: true });
  });

  it('with lines that end in CR LF is counted as editors do', () => {
    expect(firstOf('name: x\r\nsteps:\r\n  - uses: ecko\r\n')).toMatchObject({ line: 3, column: 11 });
  });
});

describe('the parser', () => {
  it('never throws, whatever the text', () => {
    const alphabet = [
      'name',
      ': ',
      '\n',
      '  ',
      '- ',
      'steps',
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '!',
      '${{',
      '}}',
      '"',
      "'",
      '|',
      '>',
      '#',
      '?',
      'uses',
      'echo',
      'forEach',
      'switch',
      '\t',
      '\0',
      '\ud800',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...alphabet), { maxLength: 60 }), (parts) => {
        const parsed = parseWorkflow(parts.join(''), testSteps);
        return parsed.ok || parsed.problems.every(({ line, column }) => line >= 1 && column >= 1);
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, whatever JSON stands in the place of a workflow', () => {
    const keys = fc.constantFrom(
      'name',
      'steps',
      'triggers',
      'uses',
      'with',
      'switch',
      'forEach',
      'wait',
      'if',
      'id',
      'inputs',
      'type',
      'else',
      'retry',
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom('event', 'manual', 'echo', 'emit', '${{ steps.a }}', 'x', '', null, true, 1),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(keys, tie('value'), { maxKeys: 6 }),
      ),
    }));
    fc.assert(
      fc.property(value, (json) => {
        parseWorkflow(JSON.stringify(json), testSteps);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what is allowed and says nothing', () => {
  it.each([
    ['timeout: 0s', 'workflow.no_time', 'steps: [{ wait: { for: 1s } }]', 10],
    ['concurrency: { key: event.subject }', 'workflow.constant_key', 'steps: [{ wait: { for: 1s } }]', 21],
    ['steps: [{ wait: { for: 1s }, timeout: 0s }]', 'workflow.no_time', '', 39],
    ['steps: [{ waitForEvent: { event: git.push, onTimeout: continue } }]', 'workflow.no_timeout', '', 55],
    ['steps: [{ approval: { title: x, onTimeout: fail } }]', 'workflow.no_timeout', '', 44],
    [
      'triggers: [{ type: event, event: "pr.*", paths: src }]',
      'workflow.paths_unknown',
      'steps: [{ wait: { for: 1s } }]',
      49,
    ],
  ])('%s is warned about with its place: %s', (line, code, rest, column) => {
    const parsed = parseWorkflow(`name: x\n${line}\n${rest}\n`, testSteps);
    expect(parsed.ok).toBe(true);
    expect(parsed.warnings().filter((one) => one.code === code)).toMatchObject([{ line: 2, column }]);
  });

  it.each([
    'concurrency: { key: "${{ event.subject }}" }\ntimeout: 1s',
    'concurrency: { key: deploys }',
    'triggers: [{ type: event, event: [git.push, "pr.*"], paths: src }]',
  ])('%s is not', (line) => {
    expect(parseWorkflow(`name: x\n${line}\nsteps: [{ wait: { for: 1s } }]\n`, testSteps).warnings()).toEqual([]);
  });
});

describe('a list that is too long', () => {
  it('is refused with how long it may be, and how long it is', () => {
    expect(firstOf(withSteps('  - { wait: { for: 1s } }\n'.repeat(201)))).toMatchObject({
      line: 3,
      detail: 'Must be a list of steps with at most 200 entries. Got a list of 201 entries.',
    });
  });
});
