import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../../testing/library.js';
import { played } from '../../../testing/played.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';

describe('emit', () => {
  const firstProblem = (emitted: string) => {
    const parsed = parseWorkflow(`name: x\nsteps:\n  - uses: emit\n    with: ${emitted}\n`, testSteps);
    return parsed.ok ? undefined : parsed.problems[0];
  };

  it.each([
    ['{ type: webhook.exhausted }', '/steps/0/with/data/deliveryId', '"deliveryId" is required.'],
    [
      '{ type: webhook.exhausted, data: { attempts: 6 } }',
      '/steps/0/with/data/deliveryId',
      '"deliveryId" is required.',
    ],
    [
      '{ type: webhook.exhausted, data: { deliveryId: x, attempts: many } }',
      '/steps/0/with/data/attempts',
      'Must be a whole number. Got "many".',
    ],
    [
      '{ type: webhook.exhausted, data: { deliveryId: x, attempts: "${{ event.id }} times" } }',
      '/steps/0/with/data/attempts',
      'Must be a whole number. Got "${{ event.id }} times".',
    ],
    ['{ type: webhook.exhausted, data: { deliveryId: x, attempts: 1, nope: 1 } }', undefined, undefined],
    [
      '{ type: webhook.exhausted, data: { deliveryId: "${{ event.id }}", attempts: "${{ index }}" } }',
      undefined,
      undefined,
    ],
    ['{ type: webhook.exhausted, data: "${{ event.data }}" }', undefined, undefined],
    ['{ type: "${{ event.type }}", data: {} }', undefined, undefined],
  ])('of %s is checked when it is saved, as far as it is known', (emitted, pointer, detail) => {
    const problem = firstProblem(emitted.replace('index', 'inputs.n'));
    expect([problem?.pointer, problem?.detail]).toEqual([pointer, detail]);
  });

  it('appends the event to the run, in the append that ends the step', async () => {
    const { events, last } = await played({
      yaml: `
name: x
steps:
  - id: tell
    uses: emit
    with: { type: webhook.exhausted, subject: "delivery/\${{ inputs.id }}", data: { deliveryId: "\${{ inputs.id }}", attempts: 6 } }
`,
      inputs: { id: 'del_1' },
    });
    const emitted = events.find((event) => event.type === 'webhook.exhausted')!;
    expect(emitted.data).toEqual({ deliveryId: 'del_1', attempts: 6 });
    expect(emitted.metadata).toMatchObject({
      subject: 'delivery/del_1',
      hop: 1,
      actor: expect.stringMatching(/^run\//),
    });
    expect(last('workflow.step_completed')['output']).toEqual({ eventId: expect.stringMatching(/^evt_/) });
  });

  it('fails where the data does not fit the type', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ uses: emit, with: { type: webhook.exhausted, data: "${{ inputs.data }}" } }]\n',
      inputs: { data: { attempts: 6 } },
    });
    expect(last('workflow.failed')['error']).toMatchObject({
      code: 'emit.data',
      message: 'The data does not fit webhook.exhausted: /data/deliveryId: "deliveryId" is required.',
    });
  });

  it('does not let a template reach what the platform records itself', async () => {
    const { last } = await played({
      yaml: 'name: x\nsteps: [{ uses: emit, with: { type: "${{ inputs.type }}" } }]\n',
      inputs: { type: 'token.created' },
    });
    expect(last('workflow.failed')['error']).toMatchObject({ code: 'emit.type' });
  });
});
