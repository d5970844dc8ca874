import { describe, expect, it } from '@jest/globals';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { testDefinitions } from '../../../testing/library.js';
import { played } from '../../../testing/played.js';
import type { MakeAttempt } from '../../run/advance/attempts.js';
import { givenSecrets, maskedResult } from './step-secrets.js';

const KEY = 'p@ss/word "quoted"';

/** What the worker does around a step, with the step in the place of the test. */
const worker =
  (known: Readonly<Record<string, string>>, act: (input: unknown) => unknown): MakeAttempt =>
  async (attempt) => {
    const { input, mask } = givenSecrets(attempt, new Map(Object.entries(known)));
    const result = await Promise.resolve()
      .then(() => act(input))
      .then(
        (output) => ({ output }),
        (thrown: unknown) => ({ thrown }),
      );
    const masked = maskedResult(mask, result);
    if ('thrown' in masked) throw masked.thrown;
    return masked.output;
  };
const yaml = (more = '') => `
name: x
triggers: [{ type: manual, inputs: { text: { type: string } } }]
steps:
  - id: ask
    uses: call
    with: { to: 'https://x/\${{ inputs.text }}\${{ secrets.KEY }}' }
    ${more}
  - id: again
    uses: call
    with: { to: 'https://y' }
`;

describe('a step with a secret', () => {
  it('is given the secret, and the log has its name', async () => {
    const given: unknown[] = [];
    const { run, events } = await played({
      yaml: yaml(),
      inputs: { text: '' },
      makeAttempt: worker({ KEY }, (input) => given.push(input)),
    });
    expect(run.status).toBe('completed');
    expect(given).toEqual([{ to: `https://x/${KEY}` }, { to: 'https://y' }]);
    const started = events.find((event) => event.is('run.step_started'))!;
    expect(started.data).toMatchObject({
      input: { to: 'https://x/${{ secrets.KEY }}' },
      secrets: [{ pointer: '/to', index: 10, name: 'KEY' }],
    });
    expect(JSON.stringify(events.map(({ data }) => data))).not.toContain('p@ss');
  });

  it('puts no secret where an event says so', async () => {
    const given: unknown[] = [];
    const text = '${{ secrets.KEY }}';
    await played({ yaml: yaml(), inputs: { text }, makeAttempt: worker({ KEY }, (input) => given.push(input)) });
    expect(given[0]).toEqual({ to: `https://x/${text}${KEY}` });
  });

  it.each([
    ['an output', { echoed: KEY, [KEY]: [encodeURIComponent(KEY), Buffer.from(`user:${KEY}`).toString('base64')] }],
    ['a text', `It is ${JSON.stringify(KEY)}.`],
  ])('loses it in %s, also in one of a later step', async (_, output) => {
    const { events } = await played({
      yaml: yaml(),
      inputs: { text: '' },
      makeAttempt: worker({ KEY }, () => output),
    });
    const outputs = events.filter((event) => event.is('workflow.step_completed')).map(({ data }) => data);
    expect(outputs).toHaveLength(2);
    for (const one of outputs) {
      const text = JSON.stringify(one);
      expect(text).toContain('***');
      expect(text).not.toMatch(/p@ss|p%40ss/);
      expect(text).not.toContain(Buffer.from(KEY).toString('base64').slice(0, 16));
    }
  });

  it('loses it in an error, its output and a bug', async () => {
    for (const thrown of [
      new StepError({ message: `No ${KEY}.`, code: 'call.no', retryable: false, output: { got: KEY } }),
      new Error(`Cannot read ${KEY}`),
    ]) {
      const { events, last } = await played({
        yaml: yaml(),
        inputs: { text: '' },
        makeAttempt: worker({ KEY }, () => {
          throw thrown;
        }),
      });
      expect(JSON.stringify(last('workflow.failed'))).toContain('***');
      expect(JSON.stringify(events.map(({ data }) => data))).not.toContain('p@ss');
    }
  });

  it('fails, and is not tried again, where there is no such secret', async () => {
    let calls = 0;
    const { last, story } = await played({
      yaml: yaml('retry: { maxAttempts: 3 }'),
      inputs: { text: '' },
      makeAttempt: worker({}, () => calls++),
    });
    expect(last('workflow.failed')['error']).toMatchObject({
      type: 'configuration',
      code: 'secret.unknown',
      message: expect.stringContaining('There is no secret "KEY". Set it with millrace secret set KEY'),
      path: 'ask',
    });
    expect([calls, story.filter((one) => one.startsWith('run.step_started'))]).toEqual([0, ['run.step_started ask']]);
  });

  it('uses the value that is in force at each attempt', async () => {
    const known = { KEY: 'first value' };
    const given: unknown[] = [];
    const makeAttempt = worker(known, (input) => {
      given.push(input);
      known.KEY = 'second value';
      if (given.length === 1) throw new StepError({ message: 'Busy.', retryable: true });
      return null;
    });
    await played({ yaml: yaml('retry: { maxAttempts: 2 }'), inputs: { text: '' }, makeAttempt });
    expect(given.slice(0, 2)).toEqual([{ to: 'https://x/first value' }, { to: 'https://x/second value' }]);
  });

  it('checks the secret against the schema of the step, and says nothing of it', () => {
    const uses = {
      ...testDefinitions[0]!,
      inputSchema: { type: 'object', properties: { to: { type: 'string', maxLength: 20 } } },
    };
    const attempt = {
      path: 'ask',
      step: {},
      uses,
      attempt: 1,
      input: { to: '${{ secrets.KEY }}' },
      secrets: [{ pointer: '/to', index: 0, name: 'KEY' }],
    } as unknown as Parameters<MakeAttempt>[0];
    const tooLong = 'a secret that is far too long for the step';
    const given = (key: string) => () => givenSecrets(attempt, new Map([['KEY', key]]));
    expect(given(tooLong)).toThrow('The input of the step is invalid: with.to');
    expect(given(tooLong)).not.toThrow('far too long');
    expect(given('short enough')()).toMatchObject({ input: { to: 'short enough' } });
  });
});
