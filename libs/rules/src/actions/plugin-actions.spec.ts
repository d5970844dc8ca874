import { describe, expect, it } from '@jest/globals';
import { Type } from '@sinclair/typebox';
import { Ajv2020 } from 'ajv/dist/2020.js';

import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { Cost } from '#libs/expressions/src/values.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { defineAction } from '#libs/plugin-sdk/src/define-action.js';

import { compileRule } from '../engine/compiled-rule.js';
import { checkRule, compileDefinition } from '../language/definition.js';
import { ruleSchemaWith } from '../language/rule-schema.js';
import { warningsOf } from '../language/warnings.js';
import { parseBacktest } from '../trial/backtest/backtest-request.js';
import { actionTypes } from './built-in.js';

const page = defineAction({
  name: 'page-on-call',
  description: 'Pages the person on call.',
  inputSchema: Type.Object(
    {
      team: Type.String({ minLength: 2, description: 'Who.' }),
      urgency: Type.Optional(Type.Union([Type.Literal('low'), Type.Literal('high')])),
      minutes: Type.Optional(Type.Integer({ minimum: 1 })),
      tags: Type.Optional(Type.Array(Type.String(), { maxItems: 2, uniqueItems: true })),
      // Named like a keyword, and no alternative.
      not: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  ),
  run: () => Promise.resolve(null),
});
const known = new Map([[page.name, page]]);

const ruleWith = (action: unknown) => ({ name: 'r', eventType: 'git.push', actions: [action] });
const paging = (given: object) => ruleWith({ type: 'page-on-call', with: given });

function problemsOf(rule: unknown): readonly object[] {
  try {
    checkRule(rule, known);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(Rejected);
    return (error as Rejected).problems;
  }
}

const event: PlatformEvent = {
  id: 'evt_00000000000000000000000000',
  type: 'git.push',
  source: 'github',
  subject: '',
  orgId: 'org_1',
  timestamp: '2026-11-20T12:00:00Z',
  data: { branch: 'main', payload: { minutes: 5 } },
};
const asking = {
  requestedBy: { kind: 'rule', ruleId: 'rul_1', ruleVersion: 1, index: 0 } as const,
  eventId: event.id,
};

describe('a rule that names an action of a plug-in', () => {
  it('asks for it with its input filled in', () => {
    const { definition, compiled } = checkRule(
      paging({ team: '${{ data.branch }}', minutes: '${{ data.payload.minutes }}' }),
      known,
    );
    expect(compiled.actions[0]!.request(event, asking, new Cost())).toEqual({
      type: 'action.requested',
      data: { ...asking, action: 'page-on-call', input: { team: 'main', minutes: 5 } },
    });
    expect(warningsOf(definition, compiled)).toEqual([]);
  });

  it('is refused where nobody knows the action, with those there are and the one that is probably meant', () => {
    expect(problemsOf(ruleWith({ type: 'page-on-cal' }))).toEqual([
      {
        pointer: '/actions/0/type',
        detail: `Must be one of ${[...actionTypes, 'page-on-call'].join(', ')}. Did you mean "page-on-call"?`,
        code: 'rule.bad_value',
      },
    ]);
    expect(() => checkRule(paging({ team: 'db' }))).toThrow(/Must be one of/);
    expect(problemsOf(ruleWith({ type: '' }))).toHaveLength(1);
    expect(problemsOf(ruleWith({ with: {} }))).toEqual([
      {
        pointer: '/actions/0/type',
        detail: expect.stringMatching(/^"type" is required: .* create_issue/),
        code: 'rule.missing_key',
      },
    ]);
  });

  it('is refused by a backtest in the same way', () => {
    expect(() => parseBacktest({ rule: paging({ team: 'db' }) }, known)).not.toThrow();
    expect(() => parseBacktest({ rule: paging({ team: 'db' }) })).toThrow(Rejected);
  });

  it.each<[string, object, string, RegExp]>([
    ['lacks what it needs', {}, '/team', /is required/],
    ['has a key that nobody knows', { team: 'db', urgncy: 'low' }, '/urgncy', /Did you mean "urgency"/],
    ['has a value of another type', { team: 5 }, '/team', /Must be a string/],
    ['has none of the values allowed', { team: 'db', urgency: 'soon' }, '/urgency', /Must be one of low, high/],
    ['has a number that is too small', { team: 'db', minutes: 0 }, '/minutes', /Must be at least 1/],
    [
      'has too many templates',
      { team: 'db', tags: ['${{ a }}', '${{ b }}', '${{ c }}'] },
      '/tags',
      /at most 2 entries/,
    ],
    ['has one thing wrong beside a template', { team: '${{ a }}', minutes: 'x' }, '/minutes', /whole number/],
    ['has a wrong value under the name of a keyword', { team: 'db', not: 'x' }, '/not', /true or false/],
  ])('is refused if its "with" %s', (_, given, pointer, detail) => {
    expect(problemsOf(paging(given))).toEqual([
      expect.objectContaining({ pointer: `/actions/0/with${pointer}`, detail: expect.stringMatching(detail) }),
    ]);
  });

  it.each<[string, object]>([
    ['in place of a text that has a shortest length', { team: '${{ a }}' }],
    ['in place of a number', { team: 'db', minutes: '${{ data.minutes }}' }],
    ['in place of one of several values', { team: 'db', urgency: '${{ data.urgency }}' }],
    ['in place of a list', { team: 'db', tags: '${{ data.tags }}' }],
    ['twice in a list of different things', { team: 'db', tags: ['${{ a }}', '${{ a }}'] }],
  ])('may have a template %s: what it gives is not known yet', (_, given) => {
    expect(problemsOf(paging(given))).toEqual([]);
  });

  it('is not refused for what follows from a condition on a template, and an attempt is', () => {
    const call = defineAction({
      name: 'call',
      description: 'Calls somebody.',
      inputSchema: Type.Unsafe<object>({
        type: 'object',
        if: { properties: { how: { const: 'mail' } } },
        else: { required: ['number'] },
      }),
      run: () => Promise.resolve(null),
    });
    const calling = (how: string) => ruleWith({ type: 'call', with: { how } });
    const calls = new Map([[call.name, call]]);
    expect(() => checkRule(calling('${{ data.branch }}'), calls)).not.toThrow();
    expect(() => checkRule(calling('mail'), calls)).not.toThrow();
    expect(shapeProblems(call.inputSchema, { how: 'phone' }, { prefix: 'action' })).toMatchObject([
      { pointer: '/number', detail: '"number" is required.' },
    ]);
  });

  it('compiles when it comes from the log, whatever has become of the plug-in', () => {
    const { definition } = checkRule(paging({ team: 'db' }), known);
    expect(() => compileDefinition(definition)).not.toThrow();
    expect(compileRule('rul_1', 'org_1', 1, definition)).not.toHaveProperty('broken');
  });

  it('is known to the JSON Schema for editors, templates and all', () => {
    const schema = ruleSchemaWith(known.values());
    const validate = new Ajv2020({ strict: false }).compile(schema);
    expect(validate(paging({ team: 'db', minutes: '${{ a }}' }))).toBe(true);
    for (const wrong of [paging({}), paging({ team: 'db', x: 1 }), ruleWith({ type: 'page' })])
      expect(validate(wrong)).toBe(false);
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
  });
});
