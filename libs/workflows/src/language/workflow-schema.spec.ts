import { readFile } from 'node:fs/promises';

import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { load } from 'js-yaml';

import { offering } from '#libs/vocabulary/src/offered-names.js';
import { NOTHING_KNOWN } from '#libs/vocabulary/src/vocabulary.js';

import { arbitraryWorkflow } from '../../testing/arbitrary-workflow.js';
import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from './reading/parse-workflow.js';
import { workflowTestSchema } from '../trial/test-shape.js';
import { workflowSchema } from './workflow-schema.js';

const validate = new Ajv({ strict: false, formats: { jmespath: true } }).compile(workflowSchema(testSteps));
const accepts = (yaml: string): boolean => validate(load(yaml));

describe('the JSON Schema for editors', () => {
  it('accepts the workflow that is shipped', async () => {
    const yaml = await readFile(new URL('../../../../workflows/retry-failed-webhooks.yaml', import.meta.url), 'utf8');
    expect({ accepted: accepts(yaml), errors: validate.errors }).toEqual({ accepted: true, errors: null });
  });

  it('accepts whatever the parser accepts', () => {
    fc.assert(
      fc.property(arbitraryWorkflow(true), (source) => {
        expect({ parsed: parseWorkflow(source, testSteps).ok, accepted: accepts(source) }).toEqual({
          parsed: true,
          accepted: true,
        });
      }),
    );
  });

  it('is plain JSON Schema: nothing in it is for the parser alone', () => {
    expect(JSON.stringify(workflowSchema(testSteps))).not.toMatch(/"(inEditors|expected)":/);
  });

  it('marks "retry" where it has no effect', () => {
    const { definitions } = workflowSchema(testSteps) as {
      definitions: {
        step: { anyOf: { properties: Record<string, { const?: string; deprecationMessage?: string }> }[] };
      };
    };
    const marked = definitions.step.anyOf
      .filter(({ properties }) => properties['retry']?.deprecationMessage !== undefined)
      .map(({ properties }) => properties['uses']?.const);
    expect(marked).toEqual(expect.arrayContaining(['set', 'emit', 'echo', 'redeliver_webhook', 'send_webhook']));
    for (const name of ['call', 'workflow', 'send_message', 'create_issue', 'dispatch_agent'])
      expect(marked).not.toContain(name);
  });

  it('accepts templates in the place of values', () => {
    expect(accepts('name: x\nsteps: [{ uses: call, with: { to: x, times: "${{ inputs.n }}" } }]')).toBe(true);
  });

  it.each([
    ['an unknown step', 'name: x\nsteps: [{ uses: htpp }]'],
    ['an unknown key', 'name: x\nsteps: [{ uses: echo, wiht: { value: 1 } }]'],
    ['what a step does not take', 'name: x\nsteps: [{ uses: call, with: { to: x, tmies: 1 } }]'],
    ['a step without what it needs', 'name: x\nsteps: [{ uses: call }]'],
    ['a bad duration', 'name: x\nsteps: [{ uses: echo, with: { value: 1 }, timeout: 30 }]'],
    [
      'a mistake deep inside',
      'name: x\nsteps: [{ forEach: [1], steps: [{ switch: [{ if: true, steps: [{ uses: nothing }] }] }] }]',
    ],
    ['an event type that may not be emitted', 'name: x\nsteps: [{ uses: emit, with: { type: token.created } }]'],
    ['no steps', 'name: x\nsteps: []'],
  ])('refuses %s', (_, yaml) => {
    expect(accepts(yaml)).toBe(false);
  });
});

describe('the schema of an organisation', () => {
  const known = {
    ...NOTHING_KNOWN,
    agents: [{ id: 'agt_1', name: 'triage' }],
    integrations: [
      { id: 'int_1', name: 'chat', sends: true, tracks: false },
      { id: 'int_2', name: 'bugs', sends: false, tracks: true },
    ],
    secrets: [{ name: 'API_KEY' }],
    webhooks: [{ id: 'whk_1', name: 'https://example.com' }],
    workflows: [{ name: 'deploy' }],
    eventTypes: new Map([
      ['developer.added', { archived: false, schema: {} }],
      ['developer.removed', { archived: true, schema: {} }],
    ]),
  };
  const own = offering(workflowSchema(testSteps), known) as Parameters<Ajv['compile']>[0];
  /** Every list of names that an editor may complete from. */
  const lists = (schema: unknown): string[] =>
    typeof schema !== 'object' || schema === null
      ? []
      : Object.entries(schema).flatMap(([key, value]: [string, unknown]) =>
          key === 'enum' ? [(value as string[]).join()] : lists(value),
        );

  it('offers what the organisation has', () => {
    const offered = lists(own);
    for (const names of ['chat', 'bugs,chat', 'bugs,builtin', 'triage', 'whk_1', 'deploy', 'developer.added'])
      expect(offered).toContain(names);
    expect(offered.some((names) => names.includes('git.push') && names.includes('developer.added'))).toBe(true);
    expect(offered.join()).not.toContain('developer.removed');
    expect(JSON.stringify(own)).not.toContain('x-names');
    const tests = JSON.stringify(offering(workflowTestSchema(), known));
    expect(tests).toContain('"properties":{"API_KEY":{"type":"string"}}');
  });

  it('accepts what the schema of all accepts', () => {
    const check = new Ajv({ strict: false, formats: { jmespath: true } }).compile(own);
    for (const name of ['chat', 'another'])
      expect(
        check({
          name: 'x',
          triggers: [{ type: 'event', event: ['git.push', 'own.type'] }],
          steps: [{ uses: 'send_message', with: { integration: name, text: 'Hello' } }],
        }),
      ).toBe(true);
    expect(check({ name: 'x', steps: [{ uses: 'send_message', with: { integration: 7, text: 'Hello' } }] })).toBe(
      false,
    );
  });
});
