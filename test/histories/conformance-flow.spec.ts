import { describe, expect, it } from '@jest/globals';

import { told } from './history.js';

/*
 * The scenarios of the conformance kit of Serverless Workflow about flow and data, in this language. Those that call a
 * service are in conformance-calls.spec.ts.
 */

/** Appends a color to the list in `vars.colors`. */
const add = (color: string, id = `set_${color}`) =>
  `{ id: ${id}, uses: set, with: { colors: "\${{ [vars.colors || \`[]\`, ['${color}']][] }}" } }`;
const colors = 'outputs: { colors: "${{ vars.colors }}" }';
const all = { colors: ['red', 'green', 'blue'] };

describe('do', () => {
  it('a step that holds others runs them one after the other', async () => {
    const { outputs, steps } = await told({
      yaml: `
name: composite
steps:
  - id: composite
    parallel: [{ steps: [${add('red')}, ${add('green')}, ${add('blue')}] }]
${colors}
`,
    });
    expect(outputs).toEqual(all);
    expect(steps[0]).toBe('composite completed');
  });
});

describe('flow', () => {
  it('steps run in the order in which they are written', async () => {
    const { outputs, steps } = await told({
      yaml: `name: implicit\nsteps: [${add('red')}, ${add('green')}, ${add('blue')}]\n${colors}\n`,
    });
    expect(outputs).toEqual(all);
    expect(steps).toEqual(['set_red completed', 'set_green completed', 'set_blue completed']);
  });

  it('or in an order that is written beside them', async () => {
    const { outputs, steps } = await told({
      yaml: `
name: explicit
nodes: [${add('red')}, ${add('blue')}, ${add('green')}]
edges: [{ from: set_red, to: set_green }, { from: set_green, to: set_blue }]
${colors}
`,
    });
    expect(outputs).toEqual(all);
    expect(steps.filter((step) => step.startsWith('set_'))).toEqual([
      'set_red completed',
      'set_green completed',
      'set_blue completed',
    ]);
  });
});

describe('for', () => {
  it('steps run for each item of a list, which knows its index', async () => {
    const { outputs } = await told({
      yaml: `
name: each
triggers: [{ type: manual, inputs: { colors: { type: string } } }]
steps:
  - id: loop
    forEach: "\${{ inputs.colors }}"
    steps:
      - uses: set
        with:
          colors: "\${{ [vars.colors || \`[]\`, [item]][] }}"
          indexes: "\${{ [vars.indexes || \`[]\`, [index]][] }}"
outputs: { processed: "\${{ vars }}" }
`,
      inputs: { colors: all.colors },
    });
    expect(outputs).toEqual({ processed: { colors: all.colors, indexes: [0, 1, 2] } });
  });
});

describe('fork', () => {
  it('of branches that compete one wins, and the others leave nothing behind', async () => {
    const { outputs } = await told({
      yaml: `
name: race
steps:
  - id: fork
    race: true
    parallel: [{ steps: [${add('red')}] }, { steps: [${add('green')}] }, { steps: [${add('blue')}] }]
outputs: { colors: "\${{ vars.colors }}", winner: "\${{ steps.fork.output.winner }}" }
`,
    });
    expect(outputs).toEqual({ colors: ['red'], winner: 0 });
  });
});

describe('switch', () => {
  const painted = (color: string, otherwise = '') =>
    told({
      yaml: `
name: paint
triggers: [{ type: manual, inputs: { color: { type: string } } }]
steps:
  - id: choose
    switch:
      - { if: "inputs.color == 'red'", steps: [${add('red')}] }
      - { if: "inputs.color == 'green'", steps: [${add('green')}] }
      - { if: "inputs.color == 'blue'", steps: [${add('blue')}] }
      ${otherwise}
outputs: { color: "\${{ inputs.color }}", colors: "\${{ vars.colors }}" }
`,
      inputs: { color },
    });

  it('the case that fits runs, and nothing after it', async () => {
    const { outputs, steps } = await painted('red');
    expect(outputs).toEqual({ color: 'red', colors: ['red'] });
    expect(steps).toEqual(['choose completed', 'set_red completed']);
  });

  it('where none fits, nothing runs', async () => {
    const { outputs, steps } = await painted('yellow');
    expect(outputs).toEqual({ color: 'yellow', colors: null });
    expect(steps).toEqual(['choose completed']);
  });

  it('or the case for everything else does', async () => {
    const other = `{ id: other, uses: set, with: { colors: ["\${{ inputs.color }}"] } }`;
    const { outputs, steps } = await painted('yellow', `- { else: true, steps: [${other}] }`);
    expect(outputs).toEqual({ color: 'yellow', colors: ['yellow'] });
    expect(steps).toEqual(['choose completed', 'other completed']);
  });
});

describe('set', () => {
  it('values keep their types and shapes', async () => {
    const configuration = { size: { width: 6, height: 6 }, fill: { red: 69, green: 69, blue: 69 } };
    const { outputs } = await told({
      yaml: `
name: shape
triggers: [{ type: manual, inputs: { configuration: { type: string } } }]
steps:
  - uses: set
    with: { shape: circle, size: "\${{ inputs.configuration.size }}", fill: "\${{ inputs.configuration.fill }}" }
outputs: { drawn: "\${{ vars }}" }
`,
      inputs: { configuration },
    });
    expect(outputs).toEqual({ drawn: { shape: 'circle', ...configuration } });
  });
});

describe('emit', () => {
  it('an event goes into the log with its type, its source and data that are put together', async () => {
    const { events, outputs } = await told({
      yaml: `
name: greet
triggers: [{ type: manual, inputs: { user: { type: string } } }]
steps:
  - id: greet
    uses: emit
    with:
      type: webhook.received
      subject: user/john
      data:
        provider: generic_webhook
        eventType: user.greeted
        deliveryId: "\${{ run.id }}"
        payload: { greetings: "Hello \${{ inputs.user.firstName }} \${{ inputs.user.lastName }}!" }
outputs: { id: "\${{ steps.greet.output.eventId }}" }
`,
      inputs: { user: { firstName: 'John', lastName: 'Doe' } },
    });
    const emitted = events.find(({ type }) => type === 'webhook.received');
    expect(emitted).toMatchObject({
      data: { eventType: 'user.greeted', payload: { greetings: 'Hello John Doe!' } },
      metadata: { subject: 'user/john', source: 'millrace', timestamp: expect.any(String) },
    });
    expect(outputs).toEqual({ id: expect.stringMatching(/^evt_/) });
  });
});

describe('raise', () => {
  it('a workflow fails with an error of its own, which names the step', async () => {
    const { status, error } = await told({
      yaml: `
name: refuse
steps:
  - id: refuse
    uses: fail
    with: { code: compliance.not_met, type: validation, message: Compliance error }
`,
    });
    expect(status).toBe('failed');
    expect(error).toEqual({
      code: 'compliance.not_met',
      type: 'validation',
      message: 'Compliance error',
      path: 'refuse',
    });
  });
});
