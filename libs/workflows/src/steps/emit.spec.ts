import { describe, expect, it } from '@jest/globals';

import { played } from '../../testing/played.js';

describe('emit', () => {
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
      yaml: 'name: x\nsteps: [{ id: tell, uses: emit, with: { type: webhook.exhausted, data: { attempts: 6 } } }]\n',
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
