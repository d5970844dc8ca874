import { describe, expect, it } from '@jest/globals';

import { NOTHING_KNOWN } from '#libs/vocabulary/src/vocabulary.js';

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

  describe("of a type of one's own", () => {
    const schema = {
      type: 'object',
      required: ['login', 'age'],
      properties: { login: { type: 'string' }, age: { type: 'integer' } },
      additionalProperties: false,
    };
    const eventTypes = new Map([
      ['developer.added', { schema, archived: false }],
      ['developer.removed', { schema, archived: true }],
    ]);
    const problem = (emitted: string) => {
      const { keywords, named, triggers, sources } = testSteps;
      const vocabulary = { keywords, named, triggers, sources, organisation: { ...NOTHING_KNOWN, eventTypes } };
      const parsed = parseWorkflow(`name: x\nsteps:\n  - uses: emit\n    with: ${emitted}\n`, vocabulary);
      return parsed.ok ? undefined : parsed.problems[0];
    };

    it.each([
      ['{ type: developer.added, data: { login: x, age: 3 } }', undefined, ''],
      ['{ type: developer.added, data: { login: "${{ event.id }}", age: "${{ event.data.age }}" } }', undefined, ''],
      ['{ type: developer.added, data: "${{ event.data }}" }', undefined, ''],
      ['{ type: developer.added, data: { login: "${{ event.id }}" } }', '/steps/0/with/data/age', 'is required'],
      [
        '{ type: developer.added, data: { login: "${{ event.id }}", age: x } }',
        '/steps/0/with/data/age',
        'whole number',
      ],
      [
        '{ type: developer.added, data: { login: x, age: "${{ event.id }} y" } }',
        '/steps/0/with/data/age',
        'whole number',
      ],
      ['{ type: developer.added, data: { logn: "${{ event.id }}", age: 1 } }', '/steps/0/with/data/logn', '"login"'],
      ['{ type: developer.removed, data: { login: x, age: 3 } }', '/steps/0/with/type', 'archived'],
      ['{ type: developer.addd, data: {} }', '/steps/0/with/type', 'Did you mean "developer.added"?'],
    ])('is checked when it is saved, as far as it is known: %s', (emitted, pointer, detail) => {
      const found = problem(emitted);
      expect(found?.pointer).toBe(pointer);
      if (pointer !== undefined) expect(found).toMatchObject({ detail: expect.stringContaining(detail), line: 4 });
    });

    const own = (kind: 'known' | 'archived') => ({
      kind,
      orgId: 'org_1',
      type: 'developer.added',
      version: 3,
      content: { description: 'x', schema, example: {} },
      updatedAt: '2026-01-01T00:00:00.000Z',
    });
    const emitting = (type: string, data: object, kind: 'known' | 'archived' = 'known') =>
      played({
        yaml: 'name: x\nsteps: [{ uses: emit, with: { type: "${{ inputs.type }}", data: "${{ inputs.data }}" } }]\n',
        inputs: { type, data },
        ownTypes: { find: (_, name) => (name === 'developer.added' ? own(kind) : undefined) },
      });

    it('is appended with the version of its type', async () => {
      const { events } = await emitting('developer.added', { login: 'ann', age: 30, team: null });
      const emitted = events.find(({ type }) => type === 'developer.added')!;
      expect(emitted.data).toEqual({ login: 'ann', age: 30 });
      expect(emitted.metadata.schemaVersion).toBe(3);
    });

    it.each([
      ['developer.added', { login: 'ann' }, 'known', 'emit.data', '/data/age'],
      ['developer.added', { login: 'ann', age: 1 }, 'archived', 'emit.type', 'archived'],
      ['developer.other', { login: 'ann', age: 1 }, 'known', 'emit.type', 'There is no event type'],
    ] as const)('fails where it does not fit when its templates are filled in: %s %j %s', async (...given) => {
      const [type, data, kind, code, message] = given;
      const { events, last } = await emitting(type, data, kind);
      expect(last('workflow.failed')['error']).toMatchObject({ code, message: expect.stringContaining(message) });
      expect(events.some((event) => String(event.type).startsWith('developer.'))).toBe(false);
    });
  });
});
