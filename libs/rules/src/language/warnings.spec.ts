import { describe, expect, it } from '@jest/globals';

import { catalogue, type EventType, shownDefinition } from '#libs/events/src/catalogue.js';
import { NOTHING_KNOWN } from '#libs/vocabulary/src/vocabulary.js';

import { checkRule } from './definition.js';
import { warningsOf } from './warnings.js';

/** Rules that listen to issues and open some are warned about that. */
const quiet = { allowRecursion: true };
const action = { type: 'create_issue', with: { title: 'look' } };

function warnings(rule: object) {
  const { definition, compiled } = checkRule({
    name: 'r',
    eventType: 'git.push',
    actions: [action],
    ...quiet,
    ...rule,
  });
  return warningsOf(definition, compiled, {
    ...NOTHING_KNOWN,
    sources: ['github', 'gitlab', 'stripe'],
    secrets: [{ name: 'TOKEN' }],
  });
}
const ofField = (field: string, eventType = 'git.push') =>
  warnings({ eventType, conditions: { field, operator: 'exists' } });

describe('a rule is warned about', () => {
  it.each([
    ['issue.*', '*', 'create_issue', true],
    ['issue.created', 'millrace', 'create_issue', true],
    ['rule.*', '*', 'create_issue', true],
    ['webhook.failed', '*', 'send_webhook', true],
    ['issue.created', 'github', 'create_issue', false],
    ['issue.created', '*', 'send_webhook', false],
  ])('what its own actions lead to: %s from %s with %s: %s', (eventType, eventSource, type, isWarned) => {
    const parts = type === 'create_issue' ? { title: 'look' } : { url: 'https://example.com' };
    const rule = { eventType, eventSource, actions: [{ type, with: parts }], allowRecursion: false };
    expect(warnings(rule).map(({ code }) => code)).toEqual(isWarned ? ['rule.hears_itself'] : []);
    expect(warnings({ ...rule, allowRecursion: true })).toEqual([]);
  });

  it('a credential that is written in an action, and not about a secret that is put in there', () => {
    const send = (payload: unknown, url = 'https://example.com/${{ secrets.TOKEN }}') =>
      warnings({ actions: [{ type: 'send_webhook', with: { url, payload } }] }).map(
        ({ pointer, code, column }) => `${pointer}:${column} ${code}`,
      );
    expect(send({ text: 'is xoxb-0123456789-abc', headers: { Authorization: 'Bearer x' } })).toEqual([
      '/actions/0/with/payload/text:4 rule.literal_credential',
      '/actions/0/with/payload/headers/Authorization:1 rule.literal_credential',
    ]);
    expect(send({ headers: { Authorization: 'Bearer ${{ secrets.TOKEN }}' } })).toEqual([]);
    const issue = { type: 'create_issue', with: { title: '${{ secrets.TOKEN }}' } };
    expect(warnings({ actions: [issue] })).toMatchObject([{ code: 'expression.unknown_field' }]);
  });

  it('a misspelt field, with its place and what was probably meant', () => {
    expect(ofField('data.repository.fulName')).toEqual([
      {
        pointer: '/conditions/field',
        code: 'expression.unknown_field',
        column: 17,
        message: expect.stringContaining('Did you mean "fullName"?'),
      },
    ]);
  });

  it('a misspelt field anywhere in its conditions', () => {
    const conditions = {
      all: [
        { any: [{ not: { field: 'data.brnach', operator: 'exists' } }] },
        { expression: "data.commits[].[added, modifed][][] | [?starts_with(@, 'src/')]" },
      ],
    };
    expect(warnings({ conditions }).map(({ pointer, column }) => [pointer, column])).toEqual([
      ['/conditions/all/0/any/0/not/field', 6],
      ['/conditions/all/1/expression', 24],
    ]);
  });

  it('a misspelt field in the templates of an action, by its column in the whole text', () => {
    const title = 'look at ${{ data.branch }}, ${{ data.brnach }}';
    expect(
      warnings({ actions: [{ type: 'create_issue', with: { title, labels: ['${{ data.lables }}'] } }] }),
    ).toMatchObject([
      { pointer: '/actions/0/with/title', column: title.indexOf('brnach') + 1 },
      { pointer: '/actions/0/with/labels/0', column: 10 },
    ]);
  });

  it('a misspelt field in the key of a throttle', () => {
    expect(warnings({ throttle: { key: '${{ data.repository.ful_name }}', limit: 1, per: '1m' } })).toMatchObject([
      { pointer: '/throttle/key', column: 21 },
    ]);
  });

  it('a field of the event that was looked for beside data', () => {
    expect(ofField('branch')[0]).toMatchObject({ column: 1, message: expect.stringContaining('"data.branch"') });
    expect(ofField('payload.ref')[0]!.message).toContain('"data.payload"');
    expect(ofField('nothing')[0]!.message).not.toContain('data.nothing');
  });

  it.each([
    ['pr.*', 'data.pullRequest.title', []],
    ['pr.*', 'data.review.state', []],
    ['pr.*', 'data.commits', ['/conditions/field']],
    ['pr.opened', 'data.review.state', ['/conditions/field']],
    ['*', 'data.commits', []],
    ['*', 'data.comits', ['/conditions/field']],
    ['git.*', 'data.tag', []],
  ])('with %s and %s: %j', (eventType, field, pointers) => {
    expect(ofField(field, eventType).map(({ pointer }) => pointer)).toEqual(pointers);
  });

  it.each(['data.payload.anything.at[0].all', 'data.payload', '@', "data.payload.commits[?id == 'x'].tree_id"])(
    'nothing in what a sender wrote: %s',
    (field) => {
      for (const eventType of ['git.push', 'pr.*', 'webhook.received', '*'])
        expect(ofField(field, eventType)).toEqual([]);
    },
  );

  it('a type that there is not, and says nothing of its fields then', () => {
    expect(ofField('data.anything', 'git.psuh')).toMatchObject([
      { pointer: '/eventType', code: 'rule.unknown_event_type', message: expect.stringContaining('"git.push"') },
    ]);
  });

  it('an empty list of actions', () => {
    expect(warnings({ actions: [] })).toMatchObject([{ pointer: '/actions', code: 'rule.no_actions' }]);
  });

  it.each<[object, string[]]>([
    [{ field: 'data.pullRequest.state', operator: 'equals', value: 'opened' }, ['/conditions/value']],
    [{ field: 'data.pullRequest.state', operator: 'equals', value: 'open' }, []],
    [{ field: 'data.pullRequest.state', operator: 'in', value: ['open', 'mergd'] }, ['/conditions/value/1']],
    [{ field: 'data.pullRequest.draft', operator: 'equals', value: 'true' }, ['/conditions/value']],
    [{ field: 'data.pullRequest.draft', operator: 'equals', value: true }, []],
    [{ field: 'data.pullRequest.draft', operator: 'not_equals', value: null }, []],
    [{ field: 'data.pullRequest.title', operator: 'equals', value: 'anything' }, []],
    [{ field: 'data.payload.state', operator: 'equals', value: 'opened' }, []],
    [{ field: 'data.pullRequest.state', operator: 'contains', value: 'ope' }, []],
    [
      { any: [{ not: { field: 'data.pullRequest.state', operator: 'equals', value: 'x' } }] },
      ['/conditions/any/0/not/value'],
    ],
  ])('a value that the field never has: %j', (conditions, pointers) => {
    const found = warnings({ eventType: 'pr.*', conditions });
    expect(found.map(({ pointer }) => pointer)).toEqual(pointers);
    for (const { code } of found) expect(code).toBe('rule.impossible_value');
  });

  it('says which value was probably meant', () => {
    const [warning] = warnings({
      eventType: 'pr.opened',
      conditions: { field: 'data.pullRequest.state', operator: 'equals', value: 'opne' },
    });
    expect(warning!.message).toBe(
      'data.pullRequest.state is never "opne". Did you mean "open"? It is one of "open", "closed", "merged".',
    );
  });
});

describe('a rule is not warned about', () => {
  it.each(Object.keys(catalogue))('any field that is shown of the example of %s', (eventType) => {
    const paths: string[] = [];
    const collect = (value: unknown, path: string): void => {
      paths.push(path);
      if (path === 'data.payload' || typeof value !== 'object' || value === null || Array.isArray(value)) return;
      for (const [key, inner] of Object.entries(value))
        if (/^[A-Za-z_]\w*$/.test(key)) collect(inner, `${path}.${key}`);
    };
    collect(shownDefinition(eventType as EventType).example, 'data');
    expect(warnings({ eventType, conditions: { all: paths.map((field) => ({ field, operator: 'exists' })) } })).toEqual(
      [],
    );
  });
});

describe('the source of a rule', () => {
  it.each([
    ['Stripe', 'stripe'],
    ['strpe', 'stripe'],
    ['GitHub', 'github'],
    ['Millrace', 'millrace'],
  ])('%s that no integration has is warned about, with %s as suggestion', (eventSource, meant) => {
    expect(warnings({ eventSource })).toEqual([
      {
        pointer: '/eventSource',
        code: 'rule.unlikely_source',
        message: expect.stringContaining(`Did you mean "${meant}"? `),
      },
    ]);
  });

  it.each(['*', 'stripe', 'git*', 'millrace', 'api', 'billing'])('%s is not warned about', (eventSource) => {
    expect(warnings({ eventSource })).toEqual([]);
  });
});

describe('a rule that names what the organisation has', () => {
  const vocabulary = {
    ...NOTHING_KNOWN,
    agents: [{ id: 'agt_1', name: 'triage' }],
    integrations: [{ id: 'int_1', name: 'chat', sends: true, tracks: false }],
    secrets: [{ name: 'API_KEY' }],
    workflows: [{ name: 'deploy' }],
    eventTypes: new Map([
      ['developer.added', { archived: false, schema: { type: 'object', properties: { login: { type: 'string' } } } }],
    ]),
  };
  const found = (rule: object, known = vocabulary) => {
    const { definition, compiled } = checkRule({ name: 'r', eventType: 'git.push', ...quiet, ...rule });
    return warningsOf(definition, compiled, known);
  };

  it.each([
    ['dispatch_agent', 'agent', 'triaeg', 'agent.unknown', 'Did you mean "triage"?'],
    ['dispatch_workflow', 'workflow', 'deplyo', 'workflow.unknown', 'Did you mean "deploy"?'],
    ['send_webhook', 'webhook', 'whk_1', 'webhook.unknown', 'There is no webhook "whk_1".'],
    ['send_message', 'integration', 'chta', 'integration.unknown', 'Did you mean "chat"?'],
    ['create_issue', 'tracker', 'githbu', 'tracker.unknown', 'There is no tracker "githbu".'],
  ])('is warned where %s names a %s that does not exist', (type, key, given, code, text) => {
    const parts = { ...(type === 'create_issue' && { title: 'x' }), ...(type === 'send_message' && { text: 'x' }) };
    expect(found({ actions: [{ type, with: { ...parts, [key]: given } }] })).toEqual([
      { pointer: `/actions/0/with/${key}`, code, message: expect.stringContaining(text) },
    ]);
    expect(found({ actions: [{ type, with: { ...parts, [key]: '${{ data.branch }}' } }] })).toEqual([]);
  });

  it('is warned of a secret, with its column', () => {
    const url = 'https://example.com/?key=${{ secrets.API_KEI }}';
    expect(found({ actions: [{ type: 'send_webhook', with: { url } }] })).toEqual([
      {
        pointer: '/actions/0/with/url',
        code: 'secret.unknown',
        message: expect.stringContaining('Did you mean "API_KEY"?'),
        column: url.indexOf(' secrets') + 1,
      },
    ]);
  });

  it('knows event types of its own, and their fields', () => {
    const rule = (eventType: string, field: string) => ({
      eventType,
      actions: [action],
      conditions: { field, operator: 'exists' },
    });
    expect(found(rule('developer.added', 'data.login'))).toEqual([]);
    expect(found(rule('developer.added', 'data.logn'))).toMatchObject([{ code: 'expression.unknown_field' }]);
    expect(found(rule('developer.aded', 'data.login'))).toMatchObject([
      { code: 'rule.unknown_event_type', message: expect.stringContaining('Did you mean "developer.added"?') },
    ]);
  });
});
