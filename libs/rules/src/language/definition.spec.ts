import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';

import { Rejected } from '#libs/kernel/src/errors.js';

import { checkRule, compileDefinition, MAX_RULE_BYTES } from './definition.js';
import { ruleSchema } from './rule-schema.js';
import { warningsOf } from './warnings.js';

const good = {
  name: 'critical alerts',
  enabled: true,
  eventSource: '*',
  eventType: 'webhook.received',
  conditions: {
    all: [
      { field: 'data.payload.severity', operator: 'equals', value: 'critical' },
      {
        any: [
          { expression: 'length(data.payload.tags || `[]`) > `2`' },
          { not: { field: 'data.payload.silenced', operator: 'exists' } },
        ],
      },
    ],
  },
  actions: [{ type: 'create_issue', with: { title: '${{ data.payload.message }}', priority: 'high' } }],
  throttle: { key: '${{ data.payload.host }}', limit: 1, per: '10m' },
};

function refusal(rule: unknown): Rejected {
  try {
    checkRule(rule);
  } catch (error) {
    expect(error).toBeInstanceOf(Rejected);
    return error as Rejected;
  }
  throw new Error('the rule was accepted');
}
const pointers = (rule: unknown) => refusal(rule).problems.map(({ pointer }) => pointer);

describe('a rule as the contract shows it', () => {
  it('is accepted without a warning, and comes back as it was written', () => {
    const { definition, enabled, compiled } = checkRule(good);
    expect({ enabled, ...definition }).toEqual(good);
    expect(warningsOf(definition, compiled)).toEqual([]);
    expect(() => compileDefinition(definition)).not.toThrow();
  });

  it('is enabled, from any source, when it does not say otherwise', () => {
    const { definition, enabled } = checkRule({
      name: 'x',
      eventType: '*',
      actions: [{ type: 'send_webhook', with: { url: 'https://example.com' } }],
    });
    expect(enabled).toBe(true);
    expect(definition.eventSource).toBe('*');
  });
});

describe('a rule that is wrong', () => {
  it.each<[string, object, string, RegExp]>([
    ['no name', { name: undefined }, '/name', /required/],
    ['an empty name', { name: ' ' }, '/name', /not blank/],
    ['a NUL in its name', { name: 'a\u0000' }, '/name', /NUL/],
    ['a name that is too long', { name: 'x'.repeat(201) }, '/name', /201 characters/],
    ['no event type', { eventType: undefined }, '/eventType', /required/],
    ['an event type with spaces', { eventType: 'git push' }, '/eventType', /letters, digits/],
    ['an unknown key', { evntType: 'x' }, '/evntType', /Did you mean "eventType"/],
    ['enabled that is a text', { enabled: 'yes' }, '/enabled', /true or false/],
    ['no array of actions', { actions: {} }, '/actions', /list/],
    [
      'an action of an unknown type',
      { actions: [{ type: 'send_webhok' }] },
      '/actions/0/type',
      /Did you mean "send_webhook"/,
    ],
    [
      'an action without what it needs',
      { actions: [{ type: 'create_issue', with: {} }] },
      '/actions/0/with/title',
      /required/,
    ],
    [
      'an unknown key of an action',
      { actions: [{ type: 'create_issue', with: { title: 'x', labls: [] } }] },
      '/actions/0/with/labls',
      /labels/,
    ],
    [
      'a webhook and a url',
      { actions: [{ type: 'send_webhook', with: { url: 'x', webhook: 'y' } }] },
      '/actions/0/with',
      /either/,
    ],
    [
      'a broken template',
      { actions: [{ type: 'create_issue', with: { title: 'a ${{ b == }}' } }] },
      '/actions/0/with/title',
      /column 12/,
    ],
    [
      'a template in a list',
      { actions: [{ type: 'create_issue', with: { title: 'x', labels: ['${{ '] } }] },
      '/actions/0/with/labels/0',
      /not closed/,
    ],
    ['too many actions', { actions: Array(51).fill({ type: 'create_issue', with: { title: 'x' } }) }, '/actions', /50/],
    ['a throttle without limit', { throttle: { per: '1m' } }, '/throttle/limit', /required/],
    ['a throttle that is not a number', { throttle: { limit: '1', per: '1m' } }, '/throttle/limit', /whole number/],
    ['a period that is too long', { throttle: { limit: 1, per: '31d' } }, '/throttle/per', /30d/],
    ['a throttle without period', { throttle: { limit: 1, per: 'soon' } }, '/throttle/per', /10m/],
    [
      'an unknown key of the throttle',
      { throttle: { limit: 1, per: '1m', every: 1 } },
      '/throttle/every',
      /Unknown key/,
    ],
    ['a broken throttle key', { throttle: { limit: 1, per: '1m', key: '${{ a' } }, '/throttle/key', /not closed/],
    ['a burst without quiet', { once: {} }, '/once/quiet', /10m/],
    ['a burst that is a text', { debounce: '5m' }, '/debounce', /maxWait/],
    ['a wait shorter than the quiet', { debounce: { quiet: '5m', maxWait: '1m' } }, '/debounce/maxWait', /5m/],
    ['a wait of once', { once: { quiet: '5m', maxWait: '1h' } }, '/once/maxWait', /Unknown key/],
    ['first and last', { once: { quiet: '5m' }, debounce: { quiet: '5m' } }, '/debounce', /together with once/],
    ['a broken key of a burst', { debounce: { quiet: '1m', key: '${{ a' } }, '/debounce/key', /not closed/],
    ['hours that are no object', { window: '9-17' }, '/window', /timezone/],
    ['a day that there is not', { window: { days: ['monday'] } }, '/window/days/0', /mon, tue/],
    ['no day', { window: { days: [] } }, '/window/days', /at least 1/],
    ['an hour that there is not', { window: { from: '25:00' } }, '/window/from', /09:00/],
    ['an end that there is not', { window: { to: '24:01' } }, '/window/to', /17:00/],
    ['a time zone that there is not', { window: { timezone: 'Mars/Olympus' } }, '/window/timezone', /Europe/],
  ])('%s is refused at its place', (_, change, pointer, detail) => {
    const { code, problems } = refusal({ ...good, ...change });
    expect(code).toBe('rule.invalid');
    expect(problems.find((problem) => problem.pointer === pointer)?.detail).toMatch(detail);
  });

  it('hears about everything at once', () => {
    expect(pointers({ name: '', eventType: '', conditions: { expression: '(' }, actions: [{ type: 'x' }] })).toEqual([
      '/name',
      '/eventType',
      '/conditions/expression',
      '/actions/0/type',
    ]);
  });

  it('is refused when it is too large, with the limit named', () => {
    expect(refusal({ ...good, description: 'x'.repeat(MAX_RULE_BYTES) }).message).toContain(String(MAX_RULE_BYTES));
  });

  it('never makes the check throw anything but Rejected', () => {
    const json = fc.jsonValue();
    const rule = fc.record(
      {
        name: json,
        enabled: json,
        eventSource: json,
        eventType: json,
        conditions: json,
        actions: fc.array(json),
        throttle: json,
        once: json,
        debounce: json,
        window: json,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(json, rule), (given) => {
        try {
          checkRule(given);
        } catch (error) {
          expect(error).toBeInstanceOf(Rejected);
        }
      }),
      { numRuns: 300, examples: [[{ name: [{ toString: '' }] }]] },
    );
  });
});

describe('a warning', () => {
  const warned = (change: object) => {
    const { definition, compiled } = checkRule({ ...good, ...change });
    return warningsOf(definition, compiled).map(({ pointer, code, column }) => [pointer, code, column]);
  };

  it.each<[string, object, unknown[]]>([
    [
      'a field that the type does not have',
      {
        eventType: 'git.push',
        conditions: { field: 'data.brnch', operator: 'exists' },
        actions: [],
        throttle: undefined,
      },
      [
        ['/actions', 'rule.no_actions', undefined],
        ['/conditions/field', 'expression.unknown_field', 6],
      ],
    ],
    [
      'double quotes for a text',
      { conditions: { expression: 'data.payload.a == "b"' } },
      [['/conditions/expression', 'expression.double_quotes', 19]],
    ],
    [
      'a negation that binds too tightly',
      { conditions: { expression: '!data.payload' } },
      [['/conditions/expression', 'expression.not_binding', 1]],
    ],
    [
      'a template with an unknown field',
      { actions: [{ type: 'create_issue', with: { title: '${{ dta.x }}' } }] },
      [['/actions/0/with/title', 'expression.unknown_field', 5]],
    ],
    ['a type that nobody knows', { eventType: 'git.psh' }, [['/eventType', 'rule.unknown_event_type', undefined]]],
  ])('is given for %s', (_, change, wanted) => {
    expect(warned(change)).toEqual(wanted);
  });

  it('is not given for a field that one of several types has', () => {
    expect(
      warned({ eventType: '*', eventSource: 'github', conditions: { field: 'data.branch', operator: 'exists' } }),
    ).toEqual([]);
    expect(
      warned({ eventType: 'pr.*', conditions: { field: 'data.pullRequest.number', operator: 'gt', value: 1 } }),
    ).toEqual([]);
  });
});

describe('the JSON Schema for editors', () => {
  const validate = new Ajv2020({ strict: false }).compile(ruleSchema);

  it('accepts the rule that the contract shows', () => {
    expect({ valid: validate(good), errors: validate.errors }).toEqual({ valid: true, errors: null });
  });

  it.each([
    ['the first of a burst', { once: { key: '${{ data.host }}', quiet: '5m' } }],
    ['the last of a burst', { debounce: { quiet: '5m', maxWait: '1h' } }],
    ['hours', { window: { days: ['mon', 'fri'], from: '22:00', to: '06:00', timezone: 'Europe/Berlin' } }],
    ['any hours', { window: {} }],
  ])('accepts %s, as saving does', (_, change) => {
    expect(validate({ ...good, ...change })).toBe(true);
    expect(() => checkRule({ ...good, ...change })).not.toThrow();
  });

  it.each([
    ['an unknown key', { evntType: 'x' }],
    ['an unknown operator', { conditions: { field: 'a', operator: 'equalz', value: 1 } }],
    ['a group that is two', { conditions: { all: [], any: [{ expression: 'a' }] } }],
    ['a mistake deep inside', { conditions: { all: [{ not: { any: [{ feild: 'a', operator: 'exists' }] } }] } }],
    ['an unknown action', { actions: [{ type: 'send_mail', with: {} }] }],
    ['an action without what it needs', { actions: [{ type: 'create_issue', with: {} }] }],
    ['a throttle without limit', { throttle: { per: '1m' } }],
    ['a burst without quiet', { once: {} }],
    ['a wait of once', { once: { quiet: '5m', maxWait: '1h' } }],
    ['first and last', { once: { quiet: '5m' }, debounce: { quiet: '5m' } }],
    ['a day that there is not', { window: { days: ['monday'] } }],
    ['an hour that there is not', { window: { to: '24:01' } }],
  ])('marks %s, as saving does', (_, change) => {
    expect(validate({ ...good, ...change })).toBe(false);
    expect(() => checkRule({ ...good, ...change })).toThrow(Rejected);
  });

  it('accepts every rule that can be saved', () => {
    const condition = fc.letrec<{ condition: unknown }>((tie) => ({
      condition: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(
          { expression: 'data.a' },
          { field: 'data.a', operator: 'exists' },
          { field: 'data.a', operator: 'in', value: [1] },
        ),
        fc.array(tie('condition'), { maxLength: 3 }).map((all) => ({ all })),
        fc.array(tie('condition'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
        tie('condition').map((not) => ({ not })),
      ),
    })).condition;
    fc.assert(
      fc.property(condition, (conditions) => {
        expect(() => checkRule({ ...good, conditions })).not.toThrow();
        expect(validate({ ...good, conditions })).toBe(true);
      }),
    );
  });
});
