import { describe, expect, it } from '@jest/globals';

import { assuming, NOTHING_KNOWN, type ReferenceKind, referenceProblem, referencesOf } from './vocabulary.js';

const vocabulary = {
  ...NOTHING_KNOWN,
  agents: [{ id: 'agt_1', name: 'triage' }],
  integrations: [
    { id: 'int_1', name: 'acme/app', tracks: true, sends: false },
    { id: 'int_2', name: 'ops chat', tracks: false, sends: true },
  ],
  secrets: [{ name: 'API_KEY' }],
  webhooks: [{ id: 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a', name: 'https://example.com/hook' }],
  workflows: [{ name: 'deploy' }],
};

const check = (kind: ReferenceKind, given: string) => referenceProblem(kind, given, vocabulary);

describe('a reference', () => {
  it.each<[ReferenceKind, string]>([
    ['agent', 'triage'],
    ['agent', 'agt_1'],
    ['integration', 'ops chat'],
    ['integration', 'int_2'],
    ['secret', 'API_KEY'],
    ['tracker', 'acme/app'],
    ['tracker', 'int_1'],
    ['tracker', 'builtin'],
    ['webhook', 'whk_01jq5x1d0wkz4s3v2n8m7b6c5a'],
    ['workflow', 'deploy'],
  ])('to what exists has no problem: %s %s', (kind, given) => expect(check(kind, given)).toBeUndefined());

  it.each<[ReferenceKind, string, string, RegExp]>([
    ['agent', 'triaeg', 'agent.unknown', /There is no agent "triaeg"\. Did you mean "triage"\?/],
    ['integration', 'ops-chat', 'integration.unknown', /Did you mean "ops chat"\?/],
    ['secret', 'API_KEI', 'secret.unknown', /Did you mean "API_KEY"\? .*millrace secret set API_KEI\./],
    ['tracker', 'built-in', 'tracker.unknown', /Did you mean "builtin"\?/],
    ['webhook', 'whk_01jq5x1d0wkz4s3v2n8m7b6c5b', 'webhook.unknown', /Did you mean "whk_01jq5x1d0wkz4s3v2n8m7b6c5a"\?/],
    ['webhook', 'https://example.com/hook', 'webhook.unknown', /Did you mean "whk_01jq5x1d0wkz4s3v2n8m7b6c5a"\?/],
    ['workflow', 'deplyo', 'workflow.unknown', /Did you mean "deploy"\?/],
    ['workflow', 'x', 'workflow.unknown', /^There is no workflow "x"\. Save it/],
    ['integration', 'acme/app', 'integration.cannot_send', /sends no messages\. Use one of ops chat\./],
    ['tracker', 'int_2', 'tracker.cannot_open', /opens no issues\. Use one of acme\/app\./],
  ])('to what does not exist, or cannot do it, has one: %s %s', (kind, given, code, detail) => {
    expect(check(kind, given)).toEqual({ code, detail: expect.stringMatching(detail) });
  });

  it('to what is saved together with it has none', () => {
    const more = assuming(vocabulary, {
      workflows: ['release'],
      eventTypes: { 'developer.added': { type: 'object' } },
    });
    expect(referenceProblem('workflow', 'release', more)).toBeUndefined();
    expect(more.eventTypes.get('developer.added')).toEqual({ schema: { type: 'object' }, archived: false });
    expect(referenceProblem('workflow', 'release', vocabulary)).toBeDefined();
    const odd = assuming(vocabulary, {
      eventTypes: { 'a.b': { type: 3 }, 'a.c': { type: 'object', $ref: 'https://x' } },
    });
    expect([...odd.eventTypes.values()].map(({ schema }) => schema)).toEqual([{}, {}]);
  });

  it('is named by the schema of the step or action', () => {
    const schema = { properties: { agent: { type: 'string', refersTo: 'agent' }, input: {} } };
    expect(referencesOf(schema)).toEqual([['agent', 'agent']]);
    expect(referencesOf({})).toEqual([]);
  });
});
