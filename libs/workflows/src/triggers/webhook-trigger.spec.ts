import { describe, expect, it } from '@jest/globals';

import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { NOTHING_KNOWN } from '#libs/vocabulary/src/vocabulary.js';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import type { Vocabulary } from '../language/vocabulary.js';
import { judge, listensTo } from './registry.js';
import { webhooksOf } from './webhook.trigger.js';

const text = (...triggers: string[]): string =>
  `name: shop\ntriggers:\n${triggers.map((trigger) => `  - { type: webhook${trigger} }\n`).join('')}steps: [{ uses: echo, with: { value: 1 } }]\n`;
const parsed = (yaml: string, vocabulary: Vocabulary = testSteps) => parseWorkflow(yaml, vocabulary);
function definition(...triggers: string[]) {
  const read = parsed(text(...triggers));
  if (!read.ok) throw new Error(read.problems[0]!.detail);
  return read.definition;
}
const problems = (...triggers: string[]) => {
  const read = parsed(text(...triggers));
  return read.ok ? [] : read.problems;
};

const ORG = 'org_1';
const received = (payload: object): PlatformEvent => ({
  id: 'evt_x',
  type: 'webhook.received',
  source: 'generic_webhook',
  subject: '',
  orgId: ORG,
  timestamp: '2026-11-20T09:00:00.000Z',
  data: { payload } as never,
});
const receiver = (more: object = {}) => ({ id: 'int_1', orgId: ORG, name: 'orders', workflowId: undefined, ...more });

describe('a webhook trigger', () => {
  it('is what other stages need to know of it', () => {
    expect(webhooksOf(definition('', ', integration: orders, respond: wait').triggers)).toEqual([
      {},
      { integration: 'orders', respond: 'wait' },
    ]);
    expect(webhooksOf(definition(', respond: accepted').triggers)).toEqual([{}]);
  });

  it('listens to whatever may come from outside, and to nothing else', () => {
    const [trigger] = definition('').triggers;
    expect(
      ['webhook.received', 'git.push', 'issue.created', 'order.paid'].every((type) => listensTo(trigger!, type)),
    ).toBe(true);
    expect(['workflow.completed', 'webhook.failed'].some((type) => listensTo(trigger!, type))).toBe(false);
  });

  it.each([
    ['', receiver({ workflowId: 'wf_1' }), 'fits'],
    ['', receiver({ workflowId: 'wf_2' }), 'ignored'],
    ['', receiver(), 'ignored'],
    ['', undefined, 'ignored'],
    [', integration: orders', receiver(), 'fits'],
    [', integration: int_1', receiver(), 'fits'],
    [', integration: orders', receiver({ workflowId: 'wf_2' }), 'fits'],
    [', integration: Orders', receiver(), 'ignored'],
    [', integration: orders', undefined, 'ignored'],
  ])('{ type: webhook%s } and a request to %j: %s', (yaml, from, kind) => {
    const [trigger] = definition(yaml).triggers;
    expect(judge(trigger!, received({}), { workflowId: 'wf_1', receiver: from }).kind).toBe(kind);
  });

  it('says which part of its condition failed, and with which value', () => {
    const [trigger] = definition(", when: data.payload.kind == 'paid'").triggers;
    const about = { workflowId: 'wf_1', receiver: receiver({ workflowId: 'wf_1' }) };
    expect(judge(trigger!, received({ kind: 'paid' }), about)).toEqual({ kind: 'fits' });
    expect(judge(trigger!, received({ kind: 'open' }), about)).toMatchObject({
      kind: 'failed',
      failed: { pointer: '/when', actual: 'open' },
    });
  });
});

describe('a webhook trigger that is wrong', () => {
  it.each([
    [', respond: later', 'Must be one of accepted, wait.', 3, 31],
    [', integration: ""', 'the name or id of an integration', 3, 35],
    [', when: "data.("', 'The expression is invalid: column 6', 3, 28],
    [', response: wait', 'respond', 3, 22],
  ])('{ type: webhook%s } is refused with its place', (yaml, detail, line, column) => {
    const [problem, ...more] = problems(yaml);
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ line, column });
    expect(problem!.detail.toLowerCase()).toContain(detail.toLowerCase());
  });

  it('is refused where another one is for the same integration', () => {
    expect(problems(', integration: orders', ', integration: orders, respond: wait')).toMatchObject([
      { line: 4, detail: 'Another trigger is the same: orders. Remove one of them.' },
    ]);
    expect(problems('', ', respond: wait')).toMatchObject([{ line: 4 }]);
  });

  it('has a warning where there is no such integration, with the nearest name', () => {
    const warnings = (name?: string) =>
      parsed(text(', integration: order'), {
        keywords: testSteps.keywords,
        named: testSteps.named,
        triggers: testSteps.triggers,
        sources: [],
        ...(name !== undefined && { organisation: { ...NOTHING_KNOWN, integrations: [{ id: 'int_1', name }] } }),
      }).warnings();
    expect(warnings('orders')).toMatchObject([
      { code: 'integration.unknown', line: 3, column: 35, detail: expect.stringContaining('"orders"') },
    ]);
    expect(warnings('order')).toEqual([]);
    expect(warnings()).toEqual([]);
  });
});
