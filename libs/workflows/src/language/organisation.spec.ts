import { describe, expect, it } from '@jest/globals';

import { NOTHING_KNOWN } from '#libs/vocabulary/src/vocabulary.js';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from './reading/parse-workflow.js';
import type { KnownOrganisation } from './source-problems.js';
import type { Vocabulary } from './vocabulary.js';

const deploy = { type: 'object', properties: { env: { type: 'string' } }, required: ['env'] };
const organisation = {
  ...NOTHING_KNOWN,
  eventTypes: new Map([['deploy.finished', { schema: deploy, archived: false }]]),
  agents: [{ id: 'agt_1', name: 'triage' }],
  integrations: [{ id: 'int_1', name: 'chat', sends: true, tracks: false }],
  workflows: [{ name: 'deploy' }],
};
const vocabulary = (known?: KnownOrganisation): Vocabulary => ({
  keywords: testSteps.keywords,
  named: testSteps.named,
  triggers: testSteps.triggers,
  sources: testSteps.sources,
  ...(known && { organisation: known }),
});
const own = vocabulary(organisation);
const found = (text: string, given: Vocabulary) => {
  const parsed = parseWorkflow(text, given);
  return [...(parsed.ok ? [] : parsed.problems), ...parsed.warnings()];
};
const codesOf = (text: string, given: Vocabulary) =>
  found(text, given).map(({ code, pointer }) => `${code} ${pointer}`);

describe('event types of the organisation', () => {
  const source = (event: string, emitted: string) =>
    `name: x\ntriggers: [{ type: event, event: ${event} }]\nsteps: [{ uses: emit, with: ${emitted} }]\n`;

  it('start runs and are emitted, with data that fits', () => {
    expect(codesOf(source('deploy.*', '{ type: deploy.finished, data: { env: prod } }'), own)).toEqual([]);
    expect(codesOf(source('deploy.finished', '{ type: deploy.finished, data: { env: 1 } }'), own)).toEqual([
      'workflow.bad_value /steps/0/with/data/env',
    ]);
    expect(codesOf(source('deploy.started', '{ type: deploy.started }'), own)).toEqual([
      'workflow.unknown_event_type /triggers/0/event',
      'workflow.unknown_event_type /steps/0/with/type',
    ]);
  });

  it('are a warning where it is not known which there are, and nothing once the text is saved', () => {
    const text = source('shipment.arrived', '{ type: shipment.unloaded }');
    expect(codesOf(text, vocabulary())).toEqual([
      'workflow.unlikely_event_type /triggers/0/event',
      'workflow.unlikely_event_type /steps/0/with/type',
    ]);
    expect(codesOf(text, vocabulary('any'))).toEqual([]);
    expect(codesOf(source('git.pusch', '{ type: deploy.finished }'), vocabulary('any'))).toEqual([]);
  });

  it('cannot be called as the types of the platform are', () => {
    expect(codesOf(source('git.push', '{ type: workflow.failed }'), vocabulary('any'))).toEqual([
      'workflow.event_type_not_allowed /steps/0/with/type',
    ]);
  });

  const reading = (field: string, events = 'deploy.finished') => `name: x
triggers: [{ type: event, event: ${events}, when: ${field} == 'x' }]
steps:
  - { uses: echo, with: { value: "\${{ event.${field} }}" } }
  - waitForEvent: { event: ${events}, when: "${field} == event.${field}" }
`;

  it.each(['deploy.finished', 'deploy.*', '[git.push, deploy.finished]'])(
    'have fields, in triggers, steps and waits: %s',
    (events) => {
      expect(codesOf(reading('data.env', events), own)).toEqual([]);
      expect(codesOf(reading('data.evn', events), own)).toEqual([
        'expression.unknown_field /triggers/0/when',
        'expression.unknown_field /steps/0/with/value',
        'expression.unknown_field /steps/1/waitForEvent/when',
        'expression.unknown_field /steps/1/waitForEvent/when',
      ]);
    },
  );

  it('may have any field where it is not known which there are', () => {
    const suspicious = codesOf(reading('data.evn', '[git.push, deploy.finished]'), vocabulary());
    expect(suspicious.filter((one) => one.startsWith('expression.'))).toEqual([]);
  });
});

describe('a step that names what the organisation does not have', () => {
  it.each([
    ['{ uses: dispatch_agent, with: { agent: triaeg } }', 'agent.unknown', 40, 'Did you mean "triage"?'],
    ['{ uses: workflow, with: { workflow: deplyo } }', 'workflow.unknown', 37, 'Did you mean "deploy"?'],
    ['{ uses: send_webhook, with: { webhook: whk_1, payload: 1 } }', 'webhook.unknown', 40, 'no webhook "whk_1"'],
    ['{ uses: send_message, with: { integration: chta, text: x } }', 'integration.unknown', 44, 'Did you mean "chat"?'],
    ['{ uses: create_issue, with: { title: x, tracker: githbu } }', 'tracker.unknown', 50, 'no tracker "githbu"'],
    ['{ uses: create_issue, with: { title: x, tracker: chat } }', 'tracker.cannot_open', 50, 'opens no issues'],
    ['{ uses: call, with: { to: "${{ secrets.A }}" } }', 'secret.unknown', 28, 'millrace secret set A'],
  ])('is warned about, with line and column: %s', (step, code, column, text) => {
    const source = `name: x\nsteps:\n  - id: one\n    wait: { for: 1s }\n  - ${step}\n`;
    expect(found(source, own)).toEqual([
      expect.objectContaining({ code, line: 5, column: column + 4, detail: expect.stringContaining(text) }),
    ]);
    for (const given of [vocabulary(), vocabulary('any')]) expect(found(source, given)).toEqual([]);
  });

  it('is not warned about where a template names it, nor where the workflow names itself', () => {
    const steps = [
      'dispatch_agent, with: { agent: "${{ event.id }}" }',
      'workflow, with: { workflow: x, detached: true }',
    ];
    const source = `name: x\nsteps:\n${steps.map((step) => `  - { uses: ${step} }\n`).join('')}`;
    expect(found(source, own)).toEqual([]);
  });
});
